"""JSON as attnbench writes it."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

INDENT = "  "
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def json_text(found: Mapping[str, object] | Sequence[object]) -> str:
    """An indented text that ends in a line break; what is no number is null."""
    return f"{_text(found, '')}\n"


def json_pieces(found: Mapping[str, object]) -> Iterator[str]:
    """The same piece by piece, in which an iterator is a list: of its values one at a time is there."""
    between = "{"
    for key, value in found.items():
        yield f"{between}\n{INDENT}{_quoted(key)}: "
        yield from _list_pieces(value) if isinstance(value, Iterator) else (_text(value, INDENT),)
        between = ","
    yield "\n}\n"


def _list_pieces(values: Iterable[object]) -> Iterator[str]:
    between = "["
    for value in values:
        yield f"{between}\n{INDENT * 2}{_text(value, INDENT * 2)}"
        between = ","
    yield "[]" if between == "[" else f"\n{INDENT}]"


def _text(value: object, margin: str) -> str:
    """A value whose lines, but for the first, begin with a margin; NaN and infinity, which JSON has not, are
    null."""
    inner = margin + INDENT
    if isinstance(value, Mapping):
        parts = [f"{_quoted(str(key))}: {_text(each, inner)}" for key, each in value.items()]
        return _enclosed("{", parts, "}", margin)
    if isinstance(value, list | tuple):
        return _enclosed("[", [_text(each, inner) for each in value], "]", margin)
    if isinstance(value, float):
        return float.__repr__(value) if math.isfinite(value) else "null"
    return "null" if value is None else _ENCODER.encode(value)


def _enclosed(opening: str, parts: Sequence[str], closing: str, margin: str) -> str:
    between = f"\n{margin}{INDENT}"
    return f"{opening}{between}{f',{between}'.join(parts)}\n{margin}{closing}" if parts else opening + closing


def _quoted(text: str) -> str:
    return _ENCODER.encode(text)
