"""The file of a run: `records.jsonl` holds one JSON object a line, appended as cases are measured."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from attnbench.errors import AttnbenchError, reading, writing
from attnbench.machine.fingerprint import differences
from attnbench.records import lines
from attnbench.records.record import Record
from attnbench.records.record_line import from_line, to_line
from attnbench.words import plural

RECORDS = "records.jsonl"
TAIL_BYTES = 2**16  # read at a time from the end of a file; a record is about as long


@dataclass(frozen=True, slots=True)
class RecordFile:
    """The records of a run, and what was wrong with the file where something was."""

    folder: Path
    records: tuple[Record, ...]
    warnings: tuple[str, ...]


def append(folder: Path, records: Iterable[Record]) -> None:
    """Add records to the run in `folder` and see them onto the disk."""
    rows = map(to_line, records)
    append_lines(folder, (row.encode("utf-8", "backslashreplace") for row in rows))  # half a character, too


def append_lines(folder: Path, rows: Iterable[bytes]) -> None:
    """Add whole lines to the run in `folder` and see them onto the disk."""
    path = folder / RECORDS
    with writing(path, goes_on=True), path.open("ab") as file:
        file.writelines(line.rstrip() + b"\n" for line in rows)
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> RecordFile:
    """All records of the run in `folder`; a last line that was cut off is left out and said so.

    What cannot be read, holds a value that its field cannot have, or joins machines in a block is an
    `AttnbenchError`.
    """
    path = folder / RECORDS
    with reading(path):
        is_there = path.is_file()
    if not is_there:
        raise AttnbenchError(f"There is no run in {folder}: {_lacking(folder)}")
    records: dict[int, Record] = {}
    warnings: list[str] = []
    with reading(path), path.open("rb") as file:
        for number, line in lines.numbered(file, path):
            if line.endswith(b"\n") or lines.is_whole(line):
                records[number] = from_line(line, path, number)
            else:
                warnings.append(f"{path}: the last line was cut off while it was written, and is left out.")
    _require_one_machine_a_block(records, path)
    return RecordFile(folder, tuple(records.values()), tuple(warnings))


def _lacking(folder: Path) -> str:
    """Why there is no run there, and what to do."""
    if folder.is_file():
        return f"it is a file. Name the folder of a run, such as {folder.parent}."
    if runs := sorted(path.parent for path in folder.glob(f"*/{RECORDS}")):
        return f"it holds the folders of {plural(len(runs), 'run')}. Name one of them, such as {runs[0]}."
    return f"it holds no {RECORDS}. `attnbench run` makes one."


def newest(results: Path) -> Path:
    """The run in `results` that was measured last; those whose last record cannot be read do not count."""
    with reading(results):
        paths = list(results.glob(f"*/{RECORDS}"))
    if not paths:
        raise AttnbenchError(f"There is no run in {results}. `attnbench run` makes one, or name its folder.")
    starts = {path.parent: start for path in paths if (start := _last_start(path)) is not None}
    if not starts:
        raise AttnbenchError(
            f"No run in {results} can be read: the last record of each is damaged. Name one of them, "
            "and what is wrong with it is said."
        )
    return max(starts, key=lambda folder: starts[folder])


def _last_start(path: Path) -> str | None:
    """When the measurement of the last record began: empty without a record, None where it cannot be read."""
    try:
        with path.open("rb") as file:
            line = _last_line(file)
        return str(json.loads(line.decode("utf-8-sig"))["started_at"]) if line else ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _last_line(file: BinaryIO) -> bytes:
    """The last line that is whole and not blank, from as little of the file's end as holds it."""
    end, start, whole = b"", file.seek(0, os.SEEK_END), b""
    while start and b"\n" not in whole:
        size = min(start, TAIL_BYTES)
        start = file.seek(start - size)
        end = file.read(size) + end
        ended, _, rest = end.rpartition(b"\n")
        whole = end if lines.is_whole(rest) else ended.rstrip()
    return whole.rpartition(b"\n")[2]


def _require_one_machine_a_block(records: Mapping[int, Record], path: Path) -> None:
    """Raise `AttnbenchError` where a block has rows of machines whose times cannot be compared."""
    firsts: dict[str, int] = {}
    for number, row in records.items():
        first = records[firsts.setdefault(row.block, number)]
        _require_one_node(first, row, f"{path}, lines {firsts[row.block]} and {number}")
        ours, theirs = first.conditions.machine, row.conditions.machine
        if ours != theirs and (different := differences(ours, theirs, row.case.device)):
            name, old, new = different[0]
            raise AttnbenchError(
                f"{path}, lines {firsts[row.block]} and {number} are rows of one block from machines that "
                f"differ in {name} ({old}, {new}), though one machine times a block. Put the rows of each "
                "machine into a folder of its own."
            )


def _require_one_node(ours: Record, theirs: Record, where: str) -> None:
    """Raise `AttnbenchError` where two rows of a block are from two nodes, of whichever kind."""
    first, second = ours.conditions.node or "unnamed", theirs.conditions.node or "unnamed"
    if first != second:
        raise AttnbenchError(
            f"{where} are rows of one block from two nodes ({first}, {second}), though one node times a "
            "block. Put the rows of each node into a folder of its own."
        )
