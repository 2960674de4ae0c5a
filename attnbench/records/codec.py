"""Values as rows of JSON and back, from the types of their fields: one for records and for journals.

A row is flat and readable: base units, the unit in the name. A field that is marked `FLAT` lies beside its
owner's others, and one that is `SPARSE` only where it is not its default; one that is marked `COLUMNS` is a
list of values in files alone. `readers` say what a value may be.
"""

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache, lru_cache, partial
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from attnbench.records.columns import Column, Columns
from attnbench.records.readers import Misfit, Read, list_of, mapping_of, one_of, plain, sharing, unfit

MOST_SHAPES = 1024  # lists of names that rows may have
Value = TypeVar("Value")
Row = dict[str, Any]


def to_row(value: Any) -> Row:
    """A dataclass value as a row."""
    row: Row = {}
    kind: Any = type(value)
    for slot in _slots(kind):
        part = getattr(value, slot.name)
        if slot.flat:
            row.update(_nothing(slot.flat) if part is None else to_row(part))
        elif not (slot.sparse and part == slot.default):
            row[slot.name] = _to_json(part)
    return row


def from_row(kind: type[Value], row: object) -> Value:
    """The value of a row; a `Misfit` says what is not as its kind has it."""
    if not isinstance(row, dict):
        raise unfit(row, f"a {kind.__name__.lower()}")
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
    if field.metadata.get("columns"):
        read: Read = partial(_read_columns, get_args(inner)[0])
    elif values := field.metadata.get("values"):
        read = one_of(values)
    else:
        read = _reader(hint, field.name)
    return _Slot(
        name=field.name,
        read=sharing(read) if field.metadata.get("shared") else read,
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
        return partial(list_of, _reader(inside[0], name))
    if origin in (dict, Mapping):
        return partial(mapping_of, _reader(inside[1], name))
    if origin is Literal:
        return one_of(inside)
    if origin in (Union, types.UnionType):
        return plain(inside, name)
    if isinstance(inner, type) and is_dataclass(inner):
        return partial(from_row, inner)
    if issubclass(inner, Enum):
        of_value = one_of([each.value for each in inner])
        return lambda part: inner(of_value(part))
    return plain((inner,), name)


def _read_columns(kind: Any, parts: object) -> Columns[Any]:
    """A list of values of one kind, field by field; a `Misfit` is told as of values one by one."""
    try:
        return Columns(kind, _columns(kind, parts))
    except (Misfit, TypeError):
        values = list_of(partial(from_row, kind), parts)
        return Columns(kind, ([getattr(each, slot.name) for each in values] for slot in _slots(kind)))


def _columns(kind: Any, parts: Any) -> list[Column]:
    """What is in each field; where that cannot be had, a `TypeError` or a `Misfit` that does not say why."""
    shapes = set(map(tuple, parts))
    if not set(map(type, parts)) <= {dict} or not all(_is_shape(kind, shape) for shape in shapes):
        raise unfit(parts, f"a list of a {kind.__name__.lower()} each")
    return [
        [slot.read(part[slot.name]) if slot.name in part else slot.default for part in parts]
        if any(slot.name in shape for shape in shapes)
        else [slot.default] * len(parts)
        for slot in _slots(kind)
    ]


@lru_cache(maxsize=MOST_SHAPES)
def _is_shape(kind: Any, shape: tuple[str, ...]) -> bool:
    """Whether a row of these names may be one of this kind."""
    return _required(kind) <= set(shape) <= names(kind).keys()


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


@cache
def _nothing(kind: type) -> Mapping[str, Any]:
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
    if isinstance(value, tuple | list | Columns):
        return [_to_json(each) for each in value]
    return dict(value) if isinstance(value, Mapping) else value
