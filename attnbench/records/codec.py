"""Values as rows of JSON and back, from the types of their fields: one for records and for journals.

A row is flat and readable: base units, the unit in the name. A field that is marked `FLAT` lies beside its
owner's others, and one that is `SPARSE` only where it is not its default. What is read is what its field may
be: of its type, finite, and of its name's sign.
"""

import reprlib
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache, partial
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")
Row = dict[str, Any]
Read = Callable[[Any], Any]

MOST_SHARED = 1024  # values of one field
LARGEST = 1e60  # beyond every count, byte and second, and far from what overflows
SIGNED = {"seed", "settings", "images", "moved", "moved_alone", "gpu_temperature_c"}
ABOVE_0 = {
    *("seconds", "wall_s", "calls", "calls_per_sample", "macs_per_s", "rates"),
    *("batch", "threads", "cores", "logical_cores", "sessions", "precision", "timeout_s"),
}
"""Names of numbers of any sign, and of those that are divided by; all others are 0 at least."""
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


def to_row(value: Any) -> Row:
    """A dataclass value as a row."""
    row: Row = {}
    kind: Any = type(value)
    for slot in _slots(kind):
        part = getattr(value, slot.name)
        if slot.flat:
            row |= _nothing(slot.flat) if part is None else to_row(part)
        elif not (slot.sparse and part == slot.default):
            row[slot.name] = _to_json(part)
    return row


def from_row(kind: type[Value], row: object) -> Value:
    """The value of a row; a `Misfit` says what is not as its kind has it."""
    if not isinstance(row, dict):
        raise _misfit(row, f"a {kind.__name__.lower()}")
    of: Any = kind
    if not (_required(of) <= row.keys() <= names(of).keys()):
        different = (row.keys() - names(of).keys()) | (_required(of) - row.keys())
        raise Misfit(f"{', '.join(sorted(different))} missing or unknown in a {kind.__name__.lower()}")
    value: Value = _build(kind, row)
    return value


@cache
def names(kind: Any) -> Mapping[str, bool]:
    """The names in a row of this kind, and whether each may be missing."""
    sparse_by_name: dict[str, bool] = {}
    for slot in _slots(kind):
        sparse_by_name |= names(slot.flat) if slot.flat else {slot.name: slot.sparse}
    return sparse_by_name


@cache
def _required(kind: Any) -> frozenset[str]:
    """The names that no row of this kind may lack."""
    return frozenset(name for name, may_be_missing in names(kind).items() if not may_be_missing)


@dataclass(frozen=True, slots=True)
class _Slot:
    """A field of a class: what reads its value, and how it lies in a row."""

    name: str
    read: Read
    flat: type | None
    optional: bool
    sparse: bool
    default: Any
    empty: Any


@cache
def _slots(kind: Any) -> tuple[_Slot, ...]:
    hints = get_type_hints(kind)
    return tuple(_slot(field, hints[field.name]) for field in fields(kind))


def _slot(field: "Field[Any]", hint: Any) -> _Slot:
    inner, optional = _without_none(hint)
    origin = get_origin(inner)
    empty: Any = () if origin is tuple else {} if origin in (dict, Mapping) else None
    read = _one_of(values) if (values := field.metadata.get("values")) else _reader(hint, field.name)
    return _Slot(
        name=field.name,
        read=_sharing(read) if field.metadata.get("shared") else read,
        flat=inner if field.metadata.get("flat") else None,
        optional=optional,
        sparse=bool(field.metadata.get("sparse")),
        default=_default(field),
        empty=empty,
    )


def _default(field: "Field[Any]") -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None if field.default is MISSING else field.default


def _without_none(hint: Any) -> tuple[Any, bool]:
    """A type, and whether it may be None instead."""
    if get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint):
        rest = [each for each in get_args(hint) if each is not type(None)]
        return (rest[0] if len(rest) == 1 else Any), True
    return hint, False


def _reader(hint: Any, name: str) -> Read:
    """What reads a value of this type in the field of this name."""
    inner, optional = _without_none(hint)
    if optional:
        read = _reader(inner, name)
        return lambda part: None if part is None else read(part)
    origin, inside = get_origin(inner), get_args(inner)
    if origin is tuple:
        return partial(_read_list, _reader(inside[0], name))
    if origin in (dict, Mapping):
        return partial(_read_mapping, _reader(inside[1], name))
    if origin is Literal:
        return _one_of(inside)
    if origin in (Union, types.UnionType):
        return partial(_read_plain, inside, name)
    if isinstance(inner, type) and is_dataclass(inner):
        return partial(from_row, inner)
    if issubclass(inner, Enum):
        of_value = _one_of([each.value for each in inner])
        return lambda part: inner(of_value(part))
    return partial(_read_plain, (inner,), name)


def _sharing(read: Read) -> Read:
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


def _read_list(read: Read, parts: object) -> tuple[Any, ...]:
    if not isinstance(parts, list):
        raise _misfit(parts, "a list")
    return tuple(_read_inside(f"[{index}]", read, part) for index, part in enumerate(parts))


def _read_mapping(read: Read, parts: object) -> dict[str, Any]:
    if not isinstance(parts, dict):
        raise _misfit(parts, "an object")
    return {name: _read_inside(name, read, part) for name, part in parts.items()}


def _read_inside(name: str, read: Read, part: object) -> Any:
    """A part of this name; a `Misfit` in it is told with that."""
    try:
        return read(part)
    except Misfit as misfit:
        raise misfit.inside(name) from None


def _read_plain(kinds: tuple[type, ...], name: str, part: object) -> object:
    """A word or a number of one of these types; JSON may write a float without a point."""
    allowed = (*kinds, int) if float in kinds else kinds
    if type(part) not in allowed or (type(part) in (int, float) and not _fits(name, part)):
        words = ", ".join(WORDS[kind] for kind in kinds if kind is not int or float not in kinds)
        raise _misfit(part, f"{' or '.join(words.rsplit(', ', 1))}{_sign(kinds, name)}")
    return part


def _fits(name: str, number: Any) -> bool:
    """Whether a number is of its name's sign, and one that can be computed with."""
    least = -LARGEST if name in SIGNED else 1 / LARGEST if name in ABOVE_0 else 0
    return bool(least <= number < LARGEST)


def _sign(kinds: tuple[type, ...], name: str) -> str:
    """What is said of a number's sign."""
    if name in SIGNED or not {int, float} & set(kinds):
        return ""
    return " above 0" if name in ABOVE_0 else " of at least 0"


def _one_of(values: Iterable[Any]) -> Read:
    """What reads one of a few values, and no other that Python takes for equal."""
    known = list(values)

    def read(part: object) -> object:
        if not any(part == each and type(part) is type(each) for each in known):
            raise _misfit(part, f"one of {', '.join(map(str, known))}")
        return part

    return read


def _misfit(part: object, wanted: str) -> Misfit:
    return Misfit(f"{reprlib.repr(part)} is not {wanted}")


def _build(kind: Any, row: Row) -> Any:
    values: Row = {}
    for slot in _slots(kind):
        if slot.flat:
            values[slot.name] = (
                None if slot.optional and _is_missing(slot.flat, row) else _build(slot.flat, row)
            )
        elif slot.name not in row:
            values[slot.name] = slot.default
        else:
            try:
                values[slot.name] = slot.read(row[slot.name])
            except Misfit as misfit:
                raise misfit.inside(slot.name) from None
    return kind(**values)


def _nothing(kind: type) -> Row:
    """What stands in a row where there is no value of this kind."""
    return {slot.name: _to_json(slot.empty) for slot in _slots(kind) if not slot.sparse}


def _is_missing(kind: type, row: Row) -> bool:
    told = {name: row[name] for name in names(kind) if name in row}
    return told == _nothing(kind)


def _to_json(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return to_row(value)
    if isinstance(value, tuple | list):
        return [_to_json(each) for each in value]
    return dict(value) if isinstance(value, Mapping) else value
