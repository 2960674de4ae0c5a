"""What a shard holds: one JSON line a fact, in a file that outlives the workers that wrote it. No torch.

A shard begins with the job, which has the schema of all lines. Everything that was found out about its cases
follows, in the order in which it was: that file alone says what is done, what is left, and who was at work
when a process died.
"""

import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO, get_args

from attnbench.cases.case import Case
from attnbench.cases.protocol import Protocol
from attnbench.errors import AttnbenchError, writing
from attnbench.file_marks import SPARSE
from attnbench.machine.fingerprint import Machine
from attnbench.machine.node import Allocation
from attnbench.machine.witness import Witness
from attnbench.records import lines
from attnbench.records.codec import from_row, to_row
from attnbench.records.readers import Misfit
from attnbench.records.record import Check, Cost, Energy, Memory, Prediction, Sample, Warmup

Task = Literal["price", "count", "fit", "measure"]

SCHEMA = 1
KEPT = "the rows in records.jsonl stay, and the same command measures the block again"
DISK_FAILED = 74  # a worker's exit status when it could not write; EX_IOERR of sysexits.h
UNWRITABLE = "the shard cannot be written: "  # before its last words then, which no layer's status has
PROCESS_SPENT = 75  # and when what is left must be measured in a fresh process; EX_TEMPFAIL


@dataclass(frozen=True, slots=True)
class Job:
    """What the workers of a shard do: `count` the cases, or `measure` them as the members of one block.

    To `price` them is to find what of their count holds on any machine, for another one to take; to `fit`
    them is to find how many images a call of each may have. A case that needs more than `memory_limit_bytes`
    is not tried; None leaves it to what is free. `batch_note` says what set the batch, where that was found.
    `node` and `allocation` are those of its records.
    """

    task: Task
    cases: tuple[Case, ...]
    plugins: tuple[str, ...]
    threads: int
    protocol: Protocol
    started_at: str
    memory_limit_bytes: int | None = None
    batch_note: str = field(default="", metadata=SPARSE)
    node: str = field(default="", metadata=SPARSE)
    allocation: Allocation | None = field(default=None, metadata=SPARSE)
    schema: int = SCHEMA


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
class Fitted:
    """How many images a call of the case of this index may have, and what sets that limit.

    No more than cases before it: what fits all is asked. 0 where one image needs too much memory.
    """

    case: int
    images: int
    limit: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What the case of this index costs, beside its closed form."""

    case: int
    cost: Cost
    macs_closed_form: int | None


@dataclass(frozen=True, slots=True)
class Priced:
    """What the case of this index needs and costs wherever it runs; None where no need was predicted."""

    case: int
    predicted_bytes: int | None
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
class Returned:
    """What the timed layer of the case of this index gave for new tokens after its samples.

    It waits there for the comparison, where nothing is expected yet. `images` has the same numbers as in
    `Expected`. Where its buffers had moved meanwhile, `moved` has those of a new layer with these buffers for
    the whole batch, and `moved_alone` for each image alone. `kept` says that its next call wrote into them.
    """

    case: int
    images: tuple[tuple[float, ...], ...]
    moved: tuple[tuple[float, ...], ...] = field(default=(), metadata=SPARSE)
    moved_alone: tuple[tuple[float, ...], ...] = field(default=(), metadata=SPARSE)
    kept: bool = field(default=False, metadata=SPARSE)


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
    | Fitted
    | Priced
    | Counted
    | Uncounted
    | Failed
    | Referenced
    | Checked
    | Attended
    | Expected
    | Returned
    | PutRight
    | Allocated
    | Warmed
    | Timed
    | Powered
    | Ended
)
Worker = Callable[[Path, Mapping[str, str], float], Generator[Fact]]
"""What does the job of a shard, with these variables and a time-out, and yields the facts that it writes."""
_KINDS: dict[str, type[Fact]] = {kind.__name__: kind for kind in get_args(Fact)}


def to_line(fact: Fact) -> str:
    """The fact as one line."""
    return json.dumps({"fact": type(fact).__name__, **to_row(fact)}, allow_nan=False) + "\n"


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
    """All facts of a shard; a last line that its worker could not finish is left out.

    A shard that is gone, empty or damaged, or of another schema, is an `AttnbenchError`.
    """
    with there(shard):
        content = shard.read_bytes()
    whole, _ = lines.split(content, shard)
    _require_schema(whole, shard)
    facts = [_fact(line, shard, f"line {number}") for number, line in enumerate(whole, start=1)]
    if not facts or not isinstance(facts[0], Job):
        raise AttnbenchError(
            f"{shard} does not begin with a job: it is empty, or damaged. Remove the file: {KEPT}."
        )
    most = len(facts[0].cases)
    for number, fact in enumerate(facts[1:], start=2):
        if isinstance(fact, Job):
            raise _damaged(shard, f"line {number}", "it is a second job")
        if not isinstance(fact, Environment | Began | Ended) and fact.case >= most:
            raise _damaged(shard, f"line {number}", f"case: {fact.case} is none of the {most} of its job")
    return facts


def news(shard: Path, seen: int) -> tuple[list[Fact], int]:
    """The facts of the whole lines from byte `seen` of a shard on, and where those end; errors as above."""
    with there(shard), shard.open("rb") as file:
        file.seek(seen)
        content = file.read()
    end = content.rfind(b"\n") + 1
    whole = content[:end].split(b"\n")[:-1]
    return [_fact(line, shard, f"a line after byte {seen}") for line in whole], seen + end


def parse(line: bytes) -> Fact:
    """The fact of one whole line; a `ValueError` says what is not as facts are."""
    match lines.parse(line):
        case {"fact": str(name), **row} if name in _KINDS:
            return from_row(_KINDS[name], row)
    raise Misfit("it is no fact")


@contextmanager
def there(shard: Path) -> Iterator[None]:
    """Say that a shard is gone where it is."""
    try:
        yield
    except FileNotFoundError:
        raise AttnbenchError(
            f"{shard} is gone: it was removed while its block was measured; {KEPT}."
        ) from None


def _fact(line: bytes, shard: Path, where: str) -> Fact:
    try:
        return parse(line)
    except (AttnbenchError, ValueError) as error:
        raise _damaged(shard, where, f"{error}") from None


def _require_schema(whole: Sequence[bytes], shard: Path) -> None:
    """Raise `AttnbenchError` for the job of another version; a damaged one is told with all else."""
    with suppress(ValueError):
        match [lines.parse(line) for line in whole[:1]]:
            case [{"fact": "Job", **job}] if job.get("schema") != SCHEMA:
                raise AttnbenchError(
                    f"{shard} has {_told(job.get('schema'))}, and this attnbench reads schema {SCHEMA}. Go "
                    f"on with the version that wrote it, or remove the file: {KEPT}."
                )


def _told(schema: object) -> str:
    return "no schema" if schema is None else f"schema {schema}"


def _damaged(shard: Path, where: str, what: str) -> AttnbenchError:
    return AttnbenchError(f"{shard}, {where} is damaged: {what.rstrip('.')}. Remove the file: {KEPT}.")
