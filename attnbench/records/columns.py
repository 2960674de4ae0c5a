"""Many values of one dataclass as columns, in a fraction of the memory that the values would take."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache, lru_cache
from typing import Any, Generic, TypeVar, overload

Value = TypeVar("Value")
Column = Sequence[Any]
MOST_SHARED = 1024  # columns that are kept once


class Columns(Sequence[Value], Generic[Value]):
    """Values of a dataclass, which are made when they are looked at; equal to any sequence of the same."""

    __slots__ = ("_columns", "_kind")

    def __init__(self, kind: type[Value], columns: Iterable[Column]) -> None:
        """`columns` are as long as each other, one a field of the `kind`, in order."""
        floats: dict[Column, Column] = {}  # of a host, often the same as of its device
        self._kind = kind
        self._columns = tuple(_packed(tuple(column), floats) for column in columns)

    def column(self, name: str) -> Column:
        """What all values have in the field of this name."""
        kind: Any = self._kind
        return self._columns[_places(kind)[name]]

    def __len__(self) -> int:
        return len(self._columns[0])

    @overload
    def __getitem__(self, index: int) -> Value: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Value, ...]: ...
    def __getitem__(self, index: int | slice) -> Value | tuple[Value, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        return self._kind(*(column[index] for column in self._columns))

    def __iter__(self) -> Iterator[Value]:
        return (self._kind(*values) for values in zip(*self._columns, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as of other sequences of what may be unhashable

    def __repr__(self) -> str:
        return repr(tuple(self))


def column_of(values: Sequence[Any], name: str) -> Column:
    """What all values of a dataclass have in the field of this name, however they are kept."""
    return values.column(name) if isinstance(values, Columns) else [getattr(each, name) for each in values]


@cache
def _places(kind: Any) -> Mapping[str, int]:
    return {field.name: place for place, field in enumerate(fields(kind))}


def _packed(column: tuple[Any, ...], floats: dict[Column, Column]) -> Column:
    """The same in less memory: floats as what the processor knows, and others once for all that are alike."""
    kinds = set(map(type, column))
    if kinds == {float}:
        return floats.get(column) or floats.setdefault(column, array("d", column))
    return _alike(*kinds, column) if len(kinds) == 1 else column


@lru_cache(maxsize=MOST_SHARED)
def _alike(kind: type, column: Column) -> Column:  # noqa: ARG001 - False is 0, and still another
    return column
