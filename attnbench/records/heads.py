"""Rows by the beginnings of their lines: what is there already, and what may move from file to file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from attnbench.errors import reading
from attnbench.records import lines
from attnbench.records.record_file import RECORDS
from attnbench.records.record_line import damaged

BEGINNING = re.compile(rb'\{"key": "(?P<key>\w+)", "block": "(?P<block>\w+)"')


@dataclass(frozen=True, slots=True)
class Head:
    """What tells a row from others, read off its `line` without its samples; that ends at byte `end`."""

    block: str
    key: str
    complete: bool
    line: bytes
    end: int


def heads(folder: Path, since: int = 0) -> Iterator[Head]:
    """The rows of the run in `folder` by what their lines say of themselves, which need not be right.

    Those from byte `since` on, where a line begins. A line that looks like a row and cannot be read is an
    `AttnbenchError`.
    """
    path = folder / RECORDS
    with reading(path), path.open("rb") as file:
        file.seek(since)
        for line in file:
            start, since = since, since + len(line)
            if lines.is_like_an_object(line):
                yield _head(line, path, start)


@dataclass(slots=True)
class CompleteKeys:
    """Block and key of the rows of a run that need nothing more, as far as they have been read."""

    folder: Path
    _keys: set[tuple[str, str]] = field(default_factory=set)
    _end: int = 0

    def __contains__(self, block_and_key: object) -> bool:
        return block_and_key in self._keys

    def read_on(self) -> Self:
        """The same with the rows that were added since; what was there before is not read again."""
        for head in heads(self.folder, self._end):
            self._end = head.end
            if head.complete:
                self._keys.add((head.block, head.key))
        return self


def _head(line: bytes, path: Path, start: int) -> Head:
    """From the beginning of a line, and from all of it where that is not as it is written today."""
    begins, end = BEGINNING.match(line), start + len(line)
    if begins and line.count(b'"complete": ') == 1:
        return Head(begins["block"].decode(), begins["key"].decode(), b'"complete": true' in line, line, end)
    try:
        row: Any = lines.parse(line)
    except ValueError as error:
        raise damaged(path, _number_of(path, start), f"is {error}") from None
    return Head(str(row.get("block")), str(row.get("key")), row.get("complete") is True, line, end)


def _number_of(path: Path, start: int) -> int:
    """The number of the line that begins at this byte."""
    with path.open("rb") as file:
        return 1 + file.read(start).count(b"\n")
