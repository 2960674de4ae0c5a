"""The flat row that a measurement leaves behind, and its file: the narrow waist of attnbench.

`records.jsonl` holds one JSON object a line, appended as cases are measured. Base units, the unit in the
name; None = not measured. Neither torch nor pandas is needed to read it.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, BinaryIO

from attnbench.cases.case import Case
from attnbench.cases.models import Mixing
from attnbench.cases.protocol import SYSTEM, Protocol
from attnbench.errors import AttnbenchError, reading, writing
from attnbench.file_marks import FLAT, SPARSE
from attnbench.machine.devices import device_of
from attnbench.machine.fingerprint import Machine, differences
from attnbench.machine.node import Allocation
from attnbench.machine.witness import Witness
from attnbench.records import lines
from attnbench.records.codec import Row, from_row, to_row

SCHEMA = 5
ADDED: dict[int, dict[str, Any]] = {  # by schema, and what rows from before it stand for
    3: {"predicted_bytes": None, "available_bytes": None, "memory": None},
    4: {"compile": "off", "cuda_graph": False, "relative_error": None, "preparation_s": None},
    5: {},
}
ALLOCATOR_SINCE = 4  # protocols before it said nothing of one, and had the system's
OLDEST = min(ADDED) - 1  # the first schema that is still read
RECORDS = "records.jsonl"
OUTCOMES = ("measured", "unsupported", "out_of_memory", "timed_out", "crashed", "wrong", "mistake")
EMULATED = "emulated."  # before a number format, in the flags: how many times as long a product takes
BEGINNING = re.compile(rb'\{"key": "(?P<key>\w+)", "block": "(?P<block>\w+)"')
TAIL_BYTES = 2**16  # read at a time from the end of a file; a record is about as long


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds per call in one round of one session; `position` is the case's turn in that round.

    On a CUDA device `seconds` is the device's own time, and `wall_s` the synchronised time of the host. In a
    sample that is `host_paced` the device waited for the host to launch its work; one that is `settling` was
    taken in a session's first rounds, before the machine was as fast as later, and counts for nothing; in one
    that is `paused` the process stood still. Files say so only where it is so.
    """

    session: int
    round: int
    position: int
    seconds: float
    wall_s: float
    host_paced: bool = field(default=False, metadata=SPARSE)
    settling: bool = field(default=False, metadata=SPARSE)
    paused: bool = field(default=False, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Warmup:
    """How a case was made ready in a session; `stable` says that its calls had stopped getting faster."""

    session: int
    calls: int
    seconds: float
    stable: bool
    calls_per_sample: int


@dataclass(frozen=True, slots=True)
class Energy:
    """What the device's energy counter said of so many calls in a row in one session.

    `idle_w` is the power that the device drew at the session's beginning, before it had anything to do.
    """

    session: int
    joules: float
    seconds: float
    calls: int
    idle_w: float | None


@dataclass(frozen=True, slots=True)
class Memory:
    """What one call of a case takes beyond what is there before it, and what is there.

    `peak_bytes` is the most that the call has allocated at once, by the allocator that `scope` names: `cpu`
    or `cuda`. `entry_bytes` are there before: weights, buffers, the input, and for training the gradient of
    the output. `repeatable` says that a second call took the same. `reserved_bytes` is the most that the CUDA
    allocator held, `process_bytes` the most that the process had in memory: a witness that no two runs share.
    """

    peak_bytes: int
    entry_bytes: int
    scope: str
    repeatable: bool
    reserved_bytes: int | None
    process_bytes: int | None

    @property
    def total_bytes(self) -> int:
        """What must fit: the call's own peak, and what is there before it."""
        return self.peak_bytes + self.entry_bytes


@dataclass(frozen=True, slots=True)
class Cost:
    """What a case costs, counted. `macs` are those of one image's forward pass, whatever the mode.

    `uncounted` names operators without a formula that may hold multiply-adds; where there are any, `macs` is
    a lower bound; None where nothing could be counted. Where the work depends on the image,
    `macs_of_another` are those of a second one. `least_bytes` is what a call must move at least: weights and
    input read, output written, each once. `mixing` are the layers in a model's slots.
    """

    params: int
    macs: int | None
    macs_by_operator: Mapping[str, int]
    uncounted: tuple[str, ...]
    least_bytes: int
    macs_of_another: int | None = field(default=None, metadata=SPARSE)
    mixing: tuple[Mixing, ...] = field(default=(), metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The bytes that a call was expected to need at once, weights and input included, and what there was.

    A need of None says that nobody can tell before.
    """

    predicted_bytes: int | None
    available_bytes: int

    @property
    def fits(self) -> bool:
        return self.predicted_bytes is None or self.predicted_bytes <= self.available_bytes


@dataclass(frozen=True, slots=True)
class Check:
    """How far a variant other than the plain one is from the same layer in float64; None = not compared.

    `preparation_s` is how long the first call took that compiled or captured, and in no sample.
    """

    relative_error: float | None
    preparation_s: float | None


@dataclass(frozen=True, slots=True)
class Conditions:
    """With what effort, where and when a case was measured.

    `node` stands for the one machine among several of its kind, and for nothing outside of its run; `""`
    where nobody asked. `allocation` is what a scheduler gave, if one did.
    """

    threads: int
    protocol: Protocol
    flags: Mapping[str, str]
    started_at: str
    machine: Machine
    node: str = field(default="", metadata=SPARSE)
    allocation: Allocation | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Record:
    """One case: what was asked, what came out, and where.

    `outcome` is one of `OUTCOMES`; `mistake` is what only its author can mend. `key` stands for all that
    decides the number, the mechanism's code included; records with the same `block` were timed in turn. A
    record that is not `complete` was written when its run was interrupted. `backends` are torch's forms of
    fused attention that ran in it. What is `unchecked`, for this reason, was not compared with a new layer
    after its samples. `reference` says with what it was compared instead of the layer in float64, or how much
    less than the case was, and why. `put_right` is what its layer changed of the process that it shared with
    others, and what was made again what it was. `batch_note` says what set the batch, where that was found.
    """

    key: str
    block: str
    case: Case = field(metadata=FLAT)
    outcome: str = field(metadata={"values": OUTCOMES})
    reason: str | None
    complete: bool
    cost: Cost | None = field(metadata=FLAT)
    macs_closed_form: int | None
    prediction: Prediction | None = field(metadata=FLAT)
    memory: Memory | None
    check: Check | None = field(metadata=FLAT)
    samples: tuple[Sample, ...]
    warmups: tuple[Warmup, ...]
    witnesses: tuple[Witness, ...]
    conditions: Conditions = field(metadata=FLAT)
    backends: tuple[str, ...] = field(default=(), metadata=SPARSE)
    energies: tuple[Energy, ...] = field(default=(), metadata=SPARSE)
    unchecked: str | None = field(default=None, metadata=SPARSE)
    reference: str | None = field(default=None, metadata=SPARSE)
    put_right: tuple[str, ...] = field(default=(), metadata=SPARSE)
    batch_note: str | None = field(default=None, metadata=SPARSE)
    schema: int = SCHEMA

    @property
    def machine_kind(self) -> str:
        """What stands for all machines whose times may be compared with its own."""
        return self.conditions.machine.kind

    @property
    def params(self) -> int | None:
        """How many numbers train; None where that could not be counted."""
        return self.cost.params if self.cost else None

    @property
    def macs(self) -> int | None:
        """Multiply-adds of one image's forward pass; None where they could not be counted."""
        return self.cost.macs if self.cost else None

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Operators that may hold multiply-adds and could not be counted."""
        return self.cost.uncounted if self.cost else ()

    @property
    def least_bytes(self) -> int | None:
        """What a call must move at least; None where it could not be counted."""
        return self.cost.least_bytes if self.cost else None

    @property
    def predicted_bytes(self) -> int | None:
        """What a call was expected to need at once; None where nobody could tell."""
        return self.prediction.predicted_bytes if self.prediction else None

    @property
    def settled_samples(self) -> list[Sample]:
        """The samples that count."""
        return [sample for sample in self.samples if not sample.settling]

    @property
    def refused(self) -> bool:
        """Whether it was not tried, because it was expected to need more memory than there was."""
        return self.prediction is not None and not self.prediction.fits


@dataclass(frozen=True, slots=True)
class RecordFile:
    """The records of a run, and what was wrong with the file where something was."""

    folder: Path
    records: tuple[Record, ...]
    warnings: tuple[str, ...]


def key(case: Case, protocol: Protocol, threads: int, machine: Machine) -> str:
    """What decides a case's number, in twelve digits: the same key, the same measurement."""
    decisive = [SCHEMA, to_row(case), to_row(protocol), threads, machine.decisive(case.device)]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


def append(folder: Path, records: Iterable[Record]) -> None:
    """Add records to the run in `folder` and see them onto the disk."""
    path = folder / RECORDS
    rows = map(_as_of_its_schema, records)
    with (
        writing(path, goes_on=True),
        path.open("a", encoding="utf-8", errors="backslashreplace") as file,  # as JSON has half a character
    ):
        file.writelines(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Head:
    """What tells a row from others, read off its line without its samples."""

    block: str
    key: str
    complete: bool
    line: bytes


def heads(folder: Path) -> Iterator[Head]:
    """The rows of the run in `folder` by what their lines say of themselves, which need not be right.

    A line that looks like a row and cannot be read is an `AttnbenchError`.
    """
    path = folder / RECORDS
    with reading(path), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if lines.is_like_an_object(line):
                yield _head(line, path, number)


def complete_keys(folder: Path) -> set[tuple[str, str]]:
    """Block and key of the rows that need nothing more."""
    return {(head.block, head.key) for head in heads(folder) if head.complete}


def append_lines(folder: Path, rows: Iterable[bytes]) -> None:
    """Add whole lines to the run in `folder` and see them onto the disk."""
    path = folder / RECORDS
    with writing(path, goes_on=True), path.open("ab") as file:
        file.writelines(line.rstrip() + b"\n" for line in rows)
        file.flush()
        os.fsync(file.fileno())


def _head(line: bytes, path: Path, number: int) -> Head:
    """From the beginning of a line, and from all of it where that is not as `append` writes it."""
    begins = BEGINNING.match(line)
    if begins and line.count(b'"complete": ') == 1:
        return Head(begins["block"].decode(), begins["key"].decode(), b'"complete": true' in line, line)
    try:
        row: Any = lines.parse(line)
    except ValueError as error:
        raise _damaged(path, number, f"is {error}") from None
    return Head(str(row.get("block")), str(row.get("key")), row.get("complete") is True, line)


def read(folder: Path) -> RecordFile:
    """All records of the run in `folder`; a last line that was cut off is left out and said so.

    What cannot be read, holds a value that its field cannot have, or joins machines in a block is an
    `AttnbenchError`.
    """
    path = folder / RECORDS
    with reading(path):
        content = path.read_bytes() if path.is_file() else None
    if content is None:
        raise AttnbenchError(
            f"There is no run in {folder}: it holds no {RECORDS}. `attnbench run` makes one."
        )
    whole, cut_off = lines.split(content, path)
    records = {
        number: _from_line(line, path, number) for number, line in enumerate(whole, start=1) if line.strip()
    }
    _require_one_machine_a_block(records, path)
    warnings = (
        [f"{path}: the last line was cut off while it was written, and is left out."] if cut_off else []
    )
    return RecordFile(folder, tuple(records.values()), tuple(warnings))


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


def _as_of_its_schema(record: Record) -> Row:
    """A record as a row, without what rows of its schema did not have yet."""
    row = to_row(record)
    for schema, added in ADDED.items():
        if schema > record.schema:
            row = {name: value for name, value in row.items() if name not in added}
    if record.schema < ALLOCATOR_SINCE:
        del row["protocol"]["allocator"]
    return row


def _damaged(path: Path, number: int, what: str) -> AttnbenchError:
    return AttnbenchError(
        f"{path}, line {number} {what}. The line is damaged: remove it, and the rest of the file can be read."
    )


def _from_line(line: bytes, path: Path, number: int) -> Record:
    try:
        row: Any = lines.parse(line)
    except ValueError as error:
        raise _damaged(path, number, f"is {error}") from None
    if not isinstance(row, dict):
        raise _damaged(path, number, "is not a JSON object")
    schema = row.get("schema", 0)
    if schema not in range(OLDEST, SCHEMA + 1):
        raise AttnbenchError(
            f"{path}, line {number} has schema {schema}; this attnbench reads schemas "
            f"{OLDEST} to {SCHEMA}. Use the version of attnbench that wrote the file."
        )
    lacking = (added for since, added in ADDED.items() if since > schema)
    row = reduce(or_, lacking, row)
    try:
        if schema < ALLOCATOR_SINCE:
            row = row | {"protocol": {"allocator": SYSTEM} | row["protocol"]}
        record = from_row(Record, row)
        device_of(record.case.device)
    except (AttnbenchError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, number, f"is not a record: {str(error).rstrip('.')}") from None
    return record


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
