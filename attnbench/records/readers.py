"""What reads the parts of a row: each is of its type, finite, and of its name's sign, or it is a `Misfit`."""

import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Read = Callable[[Any], Any]
"""What makes a value of a part of a row; a `Misfit` says what is not as it must be."""

MOST_SHARED = 1024  # values of one field
LARGEST = 1e60  # beyond every count, byte and second, and far from what overflows
SIGNED = {"seed", "settings", "images", "moved", "moved_alone", "gpu_temperature_c"}
ABOVE_0 = {
    *("seconds", "wall_s", "calls", "calls_per_sample", "macs_per_s", "rates"),
    *("batch", "threads", "cores", "logical_cores", "sessions", "precision", "timeout_s"),
}
"""Names of numbers of any sign, and of those that are divided by; all others are 0 at least."""
NUMBERS = {int, float}
WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
}


class Misfit(ValueError):  # noqa: N818 - named for what a row does
    """What is not as its field has it: `says` what of it, and `where` in the row."""

    def __init__(self, says: str, where: str = "") -> None:
        super().__init__(f"{where}: {says}" if where else says)
        self.says = says
        self.where = where

    def inside(self, name: str) -> "Misfit":
        """The same, seen from the owner of what is of this name: `samples[2].seconds`."""
        joint = "." if self.where and not self.where.startswith("[") else ""
        return Misfit(self.says, f"{name}{joint}{self.where}")


def sharing(read: Read) -> Read:
    """The same, which reads what is alike once; it knows the last few values."""
    values: dict[str, Any] = {}

    def shared(part: object) -> object:
        told = repr(part)
        if told not in values:
            if len(values) >= MOST_SHARED:
                values.clear()
            values[told] = read(part)
        return values[told]

    return shared


def list_of(read: Read, parts: object) -> tuple[Any, ...]:
    """All parts of a list, each as it is read."""
    if not isinstance(parts, list):
        raise unfit(parts, "a list")
    return tuple(_read_inside(f"[{index}]", read, part) for index, part in enumerate(parts))


def mapping_of(read: Read, parts: object) -> dict[str, Any]:
    """All parts of an object, each as it is read, under their names."""
    if not isinstance(parts, dict):
        raise unfit(parts, "an object")
    return {name: _read_inside(name, read, part) for name, part in parts.items()}


def _read_inside(name: str, read: Read, part: object) -> Any:
    """A part of this name; a `Misfit` in it is told with that."""
    try:
        return read(part)
    except Misfit as misfit:
        raise misfit.inside(name) from None


def plain(kinds: tuple[type, ...], name: str) -> Read:
    """What reads a word or a number of one of these types; JSON may write a float without a point."""
    allowed = {*kinds, int} if float in kinds else set(kinds)
    least = _least(name)
    words = ", ".join(WORDS[kind] for kind in kinds if kind is not int or float not in kinds)
    wanted = f"{' or '.join(words.rsplit(', ', 1))}{_sign(kinds, name)}"

    def read(part: Any) -> object:
        kind = type(part)
        if kind not in allowed or (kind in NUMBERS and not least <= part < LARGEST):
            raise unfit(part, wanted)
        return part

    return read


def _least(name: str) -> float:
    """The least that a number of this name may be."""
    return -LARGEST if name in SIGNED else 1 / LARGEST if name in ABOVE_0 else 0


def _sign(kinds: tuple[type, ...], name: str) -> str:
    """What is said of a number's sign."""
    if name in SIGNED or not NUMBERS & set(kinds):
        return ""
    return " above 0" if name in ABOVE_0 else " of at least 0"


def one_of(values: Iterable[Any]) -> Read:
    """What reads one of a few values, and no other that Python takes for equal; each is kept once."""
    known = list(values)

    def read(part: object) -> object:
        for each in known:
            if part == each and type(part) is type(each):
                return each
        raise unfit(part, f"one of {', '.join(map(str, known))}")

    return read


def unfit(part: object, wanted: str) -> Misfit:
    """What is said of a part that is not what was wanted."""
    return Misfit(f"{reprlib.repr(part)} is not {wanted}")
