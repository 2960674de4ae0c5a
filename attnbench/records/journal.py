"""What a shard holds: one JSON line a fact, in a file that outlives the workers that wrote it. No torch.

A shard begins with the job. Everything that was found out about its cases follows, in the order in which it
was: that file alone says what is done, what is left, and who was at work when a process died.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO, get_args

from attnbench.cases.case import Case
from attnbench.cases.protocol import Protocol
from attnbench.errors import writing
from attnbench.file_marks import SPARSE
from attnbench.machine.fingerprint import Machine
from attnbench.machine.witness import Witness
from attnbench.records.codec import Row, from_row, to_row
from attnbench.records.record import Check, Cost, Energy, Memory, Prediction, Sample, Warmup

Task = Literal["count", "measure"]

DISK_FAILED = 74  # a worker's exit status when it could not write; EX_IOERR of sysexits.h
UNWRITABLE = "the shard cannot be written: "  # before its last words then, which no layer's status has
PROCESS_SPENT = 75  # and when what is left must be measured in a fresh process; EX_TEMPFAIL


@dataclass(frozen=True, slots=True)
class Job:
    """What the workers of a shard do: `count` the cases, or `measure` them as the members of one block.

    A case that needs more than `memory_limit_bytes` is not tried; None leaves it to what is free.
    """

    task: Task
    cases: tuple[Case, ...]
    plugins: tuple[str, ...]
    threads: int
    protocol: Protocol
    started_at: str
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """Where the workers run, the settings of torch that decide a number, and a rough matmul rate.

    `macs_per_s` is that of the host's processor, `rates` have those of other devices by name.
    """

    machine: Machine
    flags: Mapping[str, str]
    macs_per_s: float
    rates: Mapping[str, float] = field(default_factory=dict, metadata=SPARSE)

    def rate(self, device: str) -> float:
        """Multiply-adds a second of a matmul on a device."""
        return self.rates.get(device, self.macs_per_s)


@dataclass(frozen=True, slots=True)
class Began:
    """A worker has loaded everything; one that times does so as this session."""

    session: int


@dataclass(frozen=True, slots=True)
class Started:
    """The worker is about to do this step of the case of this index: if it dies now, this was why.

    The step may take `patience` times the time-out.
    """

    case: int
    step: str
    patience: int = field(default=1, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a call of the case of this index is expected to need, and what there is."""

    case: int
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Counted:
    """What the case of this index costs, beside its closed form."""

    case: int
    cost: Cost
    macs_closed_form: int | None


@dataclass(frozen=True, slots=True)
class Uncounted:
    """The case of this index could not be counted; it may still be timed. `cost` is what is known of it."""

    case: int
    reason: str
    macs_closed_form: int | None
    cost: Cost | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Failed:
    """The case of this index cannot be measured: `outcome` is a record's, or `mistake` for the user's own."""

    case: int
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Referenced:
    """With what the case of this index is compared in float64, where that is not a few of its own images.

    It is so many images on a map of this size; none where nothing fits, and `reason` says what does not.
    """

    case: int
    images: int
    height: int
    width: int
    reason: str

    @property
    def remark(self) -> str:
        """What a reader must know of it; nothing where a map of the case's own size was compared."""
        if not self.images:
            return f"not compared with float64: {self.reason}"
        size = f"{self.height}x{self.width}"
        return f"compared with float64 on a map of {size} alone: {self.reason}" if self.reason else ""


@dataclass(frozen=True, slots=True)
class Checked:
    """How far the case of this index is from the same layer in float64; `remark`: or from what, and why."""

    case: int
    check: Check
    remark: str = field(default="", metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Attended:
    """Which of torch's forms of fused attention ran in a call of the case of this index."""

    case: int
    backends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a new layer of the case of this index gives for new tokens, or the reason why nobody can tell.

    `images` has a few projections of each image's output and, in training, of its gradient; `scales` what
    lies between two images of either, and 0 where that is nothing. They are those of images that are `alone`,
    or else of a whole batch.
    """

    case: int
    images: tuple[tuple[float, ...], ...]
    scales: tuple[float, ...]
    alone: bool
    reason: str


@dataclass(frozen=True, slots=True)
class PutRight:
    """What of its process the layer of the case of this index changed; it was made what it was."""

    case: int
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Allocated:
    """What a call of the case of this index takes; None where its device keeps no peak."""

    case: int
    memory: Memory | None


@dataclass(frozen=True, slots=True)
class Warmed:
    """The case of this index is ready to be timed."""

    case: int
    warmup: Warmup


@dataclass(frozen=True, slots=True)
class Timed:
    """One sample of the case of this index."""

    case: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class Powered:
    """What the device's energy counter said of the case of this index."""

    case: int
    energy: Energy


@dataclass(frozen=True, slots=True)
class Ended:
    """A session is complete; this is what happened on the machine meanwhile."""

    witness: Witness


Fact = (
    Job
    | Environment
    | Began
    | Started
    | Predicted
    | Counted
    | Uncounted
    | Failed
    | Referenced
    | Checked
    | Attended
    | Expected
    | PutRight
    | Allocated
    | Warmed
    | Timed
    | Powered
    | Ended
)
_KINDS: dict[str, type[Fact]] = {kind.__name__: kind for kind in get_args(Fact)}


def to_line(fact: Fact) -> str:
    """The fact as one line."""
    return json.dumps({"fact": type(fact).__name__, **to_row(fact)}) + "\n"


def write(shard: TextIO, fact: Fact) -> None:
    """Append a fact, so that the parent can read it at once."""
    shard.write(to_line(fact))
    shard.flush()


def save(shard: Path, facts: Iterable[Fact]) -> None:
    """Append facts and see them onto the disk; make the shard if there is none."""
    with writing(shard, goes_on=True), shard.open("a", encoding="utf-8") as file:
        file.writelines(map(to_line, facts))
        file.flush()
        os.fsync(file.fileno())


def read(shard: Path) -> list[Fact]:
    """All facts of a shard; a last line that its worker could not finish is left out."""
    return list(parse_whole(shard.read_bytes())[0])


def parse_whole(content: bytes) -> tuple[Iterator[Fact], int]:
    """The facts of the whole lines in `content`, and how many bytes those are."""
    end = content.rfind(b"\n") + 1
    return map(parse, content[:end].decode("utf-8").splitlines()), end


def parse(line: str) -> Fact:
    """The fact of one whole line."""
    row: Row = json.loads(line)
    return from_row(_KINDS[row.pop("fact")], row)
