"""What became of a run's folder, beside that of a run that was left alone."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnbench.errors import AttnbenchError
from attnbench.records import journal
from attnbench.records.block_state import BlockState
from attnbench.records.folder import shards
from attnbench.records.record import Record
from attnbench.records.record_file import RECORDS, read
from attnbench.run.block_records import records_of
from tests.faults.command import Command

Place = tuple[str, str, int, int, int]
"""Block, key, session, round and position of a sample: no two have the same."""
Outcome = tuple[str, int | None, int | None]
"""What became of a row, its parameters and its multiply-adds: no fault changes them."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A run that was left alone: what came of its rows by key, its files, and how long it took."""

    outcomes: dict[str, Outcome]
    files: frozenset[str]
    seconds: float


def whole(folder: Path, seconds: float) -> Whole:
    """What there is to compare with, from the folder of a run that was left alone."""
    return Whole(outcomes(complete(folder)), frozenset(files(folder)), seconds)


def complete(folder: Path) -> list[Record]:
    """The rows of a run that need nothing more; none where there is no run."""
    return [row for row in _rows(folder) if row.complete]


def outcomes(rows: Iterable[Record]) -> dict[str, Outcome]:
    """What came of each row, by its key."""
    return {row.key: (row.outcome, row.params, row.macs) for row in rows}


def samples(rows: Iterable[Record]) -> set[Place]:
    """The places of all samples of these rows."""
    return {
        (row.block, row.key, sample.session, sample.round, sample.position)
        for row in rows
        for sample in row.samples
    }


def samples_there(folder: Path) -> set[Place]:
    """Those that a run has now, in rows and in shards that can be read."""
    found = samples(_rows(folder))
    for shard in shards(folder):
        try:
            found |= samples(records_of(BlockState(journal.read(shard)), complete=False))
        except (AttnbenchError, IndexError):  # damaged, or cut off before the machine was written
            continue
    return found


def lost(rows: Sequence[Record], expected: Whole, there: set[Place]) -> int:
    """How many rows are not as they should be, and how many samples are gone that were there before."""
    found = outcomes(rows)
    astray = [key for key, outcome in expected.outcomes.items() if found.get(key) != outcome]
    return len(astray) + len(there - samples(rows))


def doubled(rows: Sequence[Record], expected: Iterable[str] | None = None) -> int:
    """How many rows, samples, warm-ups and ends of sessions there are beyond one; rows beyond those expected.

    No row has a key a second time, and no two samples have one place in a block.
    """
    counted: list[Iterable[Hashable]] = [
        [row.key for row in rows],
        [
            (row.block, sample.session, sample.round, sample.position)
            for row in rows
            for sample in row.samples
        ],
        [(row.block, row.key, warmup.session) for row in rows for warmup in row.warmups],
        [(row.block, row.key, seen.session) for row in rows for seen in row.witnesses],
    ]
    again = sum(times - 1 for each in counted for times in Counter(each).values())
    unasked = {row.key for row in rows} - set(expected) if expected is not None else set()
    return again + len(unasked)


def files(folder: Path) -> set[str]:
    """The names of all files of a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.exists() else set()


def left_behind(command: Command, expected: Whole) -> list[str]:
    """What a command that is over has left: processes, temporary files, and files that are no run's."""
    return [
        *(f"process {process.pid}" for process in command.processes()),
        *sorted(files(command.temporary)),
        *sorted(files(command.folder) - expected.files),
    ]


def _rows(folder: Path) -> Sequence[Record]:
    return read(folder).records if (folder / RECORDS).exists() else ()
