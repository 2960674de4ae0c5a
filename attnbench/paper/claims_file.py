"""Files of claims: TOML in the form that `claims.toml` explains, read with errors that say what to write."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from attnbench.cases.variant import AXES
from attnbench.errors import AttnbenchError
from attnbench.paper import DEVICES, published
from attnbench.paper.claims import RELATIONS, Claim, Conditions, Metric, Relation

OTHERS = "others"
LARGEST = 10**60  # beyond every count and ratio, and far from what overflows


@dataclass(frozen=True, slots=True)
class ClaimsFile:
    """What a file holds: its claims, and what they are about unless they say otherwise."""

    conditions: Conditions
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class _Field:
    """What the value of a field may be, in words and as a test."""

    allowed: str
    accepts: Callable[[Any], bool]


def _one_of(names: Iterable[str]) -> _Field:
    return _Field(" or ".join(", ".join(names).rsplit(", ", 1)), lambda value: value in list(names))


def _number(allowed: str, accepts: Callable[[Any], bool]) -> _Field:
    return _Field(allowed, lambda value: _is_number(value) and accepts(value))


def _is_number(value: Any) -> bool:
    is_finite = type(value) is int or (isinstance(value, Decimal) and value.is_finite())
    return is_finite and abs(value) < LARGEST


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _are_labels(value: object) -> bool:
    return _is_text(value) or (isinstance(value, list) and bool(value) and all(map(_is_text, value)))


TEXT = _Field("a text", _is_text)
COUNT = _number("a whole number, at least 1", lambda value: type(value) is int and value >= 1)
ABOVE_0 = _number("a number above 0", lambda value: value > 0)
SWITCH = _Field("true or false", lambda value: isinstance(value, bool))
OF_FILES = {
    "setting": _Field("a table that begins with [setting]", _is_table),
    "claim": _Field(
        "tables that each begin with [[claim]]",
        lambda value: isinstance(value, list) and all(map(_is_table, value)),
    ),
}
REQUIRED = ("id", "sentence", "source", "mechanism", "metric", "relation")
OF_CLAIMS = {
    **dict.fromkeys(("id", "sentence", "source", "mechanism", "note"), TEXT),
    "metric": _one_of(Metric),
    "relation": _one_of(Relation),
    "device": _one_of(DEVICES),
    "than": _Field(f'a label, a list of labels, or "{OTHERS}"', _are_labels),
    "millions": ABOVE_0,
    "reported": ABOVE_0,
    "times": _number("a number above 1", lambda value: value > 1),
    "within": _number("a share between 0 and 1", lambda value: 0 < value < 1),
}
OF_CONDITIONS = {
    "size": _Field(
        "a map of tokens such as 14x14", lambda value: bool(re.fullmatch(r"[1-9]\d*x[1-9]\d*", str(value)))
    ),
    **dict.fromkeys(("dim", "heads", "batch"), COUNT),
    "mode": _one_of(("inference", "training")),
    **{name: SWITCH if False in values else _one_of(values) for name, values in AXES.items()},
    **dict.fromkeys(("torch", "cpu", "gpu"), TEXT),
}


def read(path: Path) -> ClaimsFile:
    """The claims of a user's own file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AttnbenchError(
            f"{path} cannot be read: {error.strerror}. --claims takes a TOML file of claims."
        ) from None
    except UnicodeDecodeError:
        raise AttnbenchError(f"{path} is not text in UTF-8; --claims takes a TOML file of claims.") from None
    return parse(text, str(path))


def parse(text: str, name: str) -> ClaimsFile:
    """The claims of a text, which messages call `name`."""
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:  # of numbers and lists of any length, too
        raise AttnbenchError(f"{name} is not TOML: {error}.") from None
    _check(content, OF_FILES, name)
    if not content.get("claim"):
        raise AttnbenchError(f"{name} holds no claims; each begins with a line [[claim]].")
    setting = content.get("setting", {})
    _check(setting, OF_CONDITIONS, f"{name}, [setting]")
    conditions = _with(Conditions(), setting)
    claims = [
        _claim(entry, conditions, _where(entry, number, name))
        for number, entry in enumerate(content["claim"], start=1)
    ]
    ids = [claim.id for claim in claims]
    twice = [each for number, each in enumerate(ids) if each in ids[:number]]
    if twice:
        raise AttnbenchError(f"{name}: two claims are called {twice[0]!r}; give each an id of its own.")
    return ClaimsFile(conditions, tuple(claims))


def _where(entry: Mapping[str, Any], number: int, name: str) -> str:
    """How messages call a claim: by its id, or by its number in the file."""
    return f"{name}, claim {repr(entry['id']) if _is_text(entry.get('id')) else number}"


def _claim(entry: Mapping[str, Any], conditions: Conditions, where: str) -> Claim:
    _check(entry, OF_CLAIMS | OF_CONDITIONS, where)
    missing = [name for name in REQUIRED if name not in entry]
    if missing:
        raise AttnbenchError(f"{where} has no {missing[0]}; every claim needs {', '.join(REQUIRED)}.")
    mistake = _contradiction(entry)
    if mistake:
        raise AttnbenchError(f"{where}: {mistake}.")
    return Claim(
        id=entry["id"],
        sentence=entry["sentence"],
        source=entry["source"],
        mechanism=entry["mechanism"],
        metric=Metric(entry["metric"]),
        relation=Relation(entry["relation"]),
        than=_labels(entry.get("than", []), entry["mechanism"]),
        millions=Decimal(entry["millions"]) if "millions" in entry else None,
        times=_float(entry.get("times")),
        within=_float(entry.get("within")),
        device=entry.get("device"),
        reported=_float(entry.get("reported")),
        note=entry.get("note", ""),
        conditions=_with(conditions, entry),
    )


def _with(conditions: Conditions, entry: Mapping[str, Any]) -> Conditions:
    """The conditions, but for what an entry says of them itself."""
    told = {name: entry[name] for name in OF_CONDITIONS if name in entry}
    variant = {name: told.pop(name) for name in AXES if name in told}
    return replace(conditions, variant=replace(conditions.variant, **variant), **told)


def _check(entry: Mapping[str, Any], fields: Mapping[str, _Field], where: str) -> None:
    """Raise `AttnbenchError` for a field that is not known, or that has a value it cannot have."""
    for name, value in entry.items():
        if name not in fields:
            raise AttnbenchError(f"{where}: {name} is not known; there can be {', '.join(fields)}.")
        if not fields[name].accepts(value):
            shown = value if isinstance(value, Decimal) else repr(value)
            raise AttnbenchError(f"{where}: {name} is {shown}; it must be {fields[name].allowed}.")


def _contradiction(entry: Mapping[str, Any]) -> str | None:
    """What of a claim, whose fields are good by themselves, does not go together."""
    metric, relation = Metric(entry["metric"]), Relation(entry["relation"])
    given = entry.keys()
    rules = [
        (
            relation not in RELATIONS[metric],
            f"relation is {relation}; for {metric} it can be {', '.join(RELATIONS[metric])}",
        ),
        (
            not metric.is_count and "device" not in given,
            f"device is missing; a claim about {metric} is about cpu or cuda",
        ),
        (
            metric.is_count and "device" in given,
            f"device must be left out; {metric} are the same on all",
        ),
        (
            not given & {"than", "millions"},
            "than is missing; it says what the mechanism is compared with",
        ),
        (
            given >= {"than", "millions"},
            "than and millions are both there; compare with mechanisms or with a published count",
        ),
        (
            "millions" in given and relation is not Relation.equal,
            "millions is for params or flops that are equal; for a ratio to others there is times",
        ),
        (
            "times" in given and not relation.is_order,
            f"times must be left out; it has no meaning for the relation {relation}",
        ),
        (
            "within" in given and relation is not Relation.about,
            f"within must be left out; it has no meaning for the relation {relation}",
        ),
        (
            "within" not in given and relation is Relation.about,
            "within is missing; it says by which share the two may differ, such as 0.1",
        ),
        (
            entry["mechanism"] in _names(entry.get("than", [])),
            f"than names {entry['mechanism']} itself; it must name others",
        ),
    ]
    return next((message for broken, message in rules if broken), None)


def _names(than: str | list[str]) -> list[str]:
    return [than] if isinstance(than, str) else than


def _labels(than: str | list[str], mechanism: str) -> tuple[str, ...]:
    """The labels to compare a mechanism with, each once."""
    names = published() if than == OTHERS else _names(than)
    return tuple(label for label in dict.fromkeys(names) if label != mechanism)


def _float(value: int | Decimal | None) -> float | None:
    return None if value is None else float(value)
