"""Values as rows of JSON and back, from the types of their fields: one for records and for journals.

A row is flat and readable: base units, the unit in the name. A field that is marked `FLAT` lies beside its
owner's others, and one that is `SPARSE` only where it is not its default.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")
Row = dict[str, Any]


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
    """The value of a row; a `ValueError` or `TypeError` says what is not as its kind has it."""
    if not isinstance(row, dict):
        raise ValueError(f"{row!r} is not a {kind.__name__.lower()}")
    of: Any = kind
    may_be_missing = names(of)
    different = {name for name in row.keys() ^ may_be_missing.keys() if not may_be_missing.get(name)}
    if different:
        raise ValueError(f"{', '.join(sorted(different))} missing or unknown in a {kind.__name__.lower()}")
    value: Value = _build(kind, row)
    return value


@cache
def names(kind: Any) -> Mapping[str, bool]:
    """The names in a row of this kind, and whether each may be missing."""
    sparse_by_name: dict[str, bool] = {}
    for slot in _slots(kind):
        sparse_by_name |= names(slot.flat) if slot.flat else {slot.name: slot.sparse}
    return sparse_by_name


@dataclass(frozen=True, slots=True)
class _Slot:
    """A field of a class: what reads its value, and how it lies in a row."""

    name: str
    read: Callable[[Any], Any]
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
    return _Slot(
        name=field.name,
        read=_reader(hint),
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


def _reader(hint: Any) -> Callable[[Any], Any]:
    inner, optional = _without_none(hint)
    if optional:
        read = _reader(inner)
        return lambda part: None if part is None else read(part)
    if get_origin(inner) is tuple:
        item = _reader(get_args(inner)[0])
        return lambda parts: tuple(map(item, parts))
    if isinstance(inner, type) and is_dataclass(inner):
        return lambda part: from_row(inner, part)
    return inner if isinstance(inner, type) and issubclass(inner, Enum) else lambda part: part


def _build(kind: Any, row: Row) -> Any:
    values: Row = {}
    for slot in _slots(kind):
        if slot.flat:
            values[slot.name] = (
                None if slot.optional and _is_missing(slot.flat, row) else _build(slot.flat, row)
            )
        else:
            values[slot.name] = slot.read(row[slot.name]) if slot.name in row else slot.default
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
