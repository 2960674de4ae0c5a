"""What a worker tells its parent: one JSON line a fact, in a shard file that outlives both. No torch."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from attnbench.machine import Machine
from attnbench.record import Sample


@dataclass(frozen=True, slots=True)
class Environment:
    """Where the worker runs, the settings of torch that decide a number, and a rough matmul rate."""

    machine: Machine
    flags: Mapping[str, str]
    macs_per_s: float


@dataclass(frozen=True, slots=True)
class Counted:
    """What the case of this index costs, beside its closed form."""

    case: int
    params: int
    macs: int
    macs_closed_form: int
    by_operator: Mapping[str, int]
    uncounted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The case of this index cannot be measured: `outcome` is a record's, or `mistake` for the user's own."""

    case: int
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Warmed:
    """The case of this index is ready to be timed."""

    case: int
    calls: int
    seconds: float
    per_call_s: float
    stable: bool
    calls_per_sample: int


@dataclass(frozen=True, slots=True)
class Timed:
    """One sample of the case of this index."""

    case: int
    sample: Sample


Fact = Environment | Counted | Failed | Warmed | Timed
_KINDS: dict[str, type[Fact]] = {
    kind.__name__: kind for kind in (Environment, Counted, Failed, Warmed, Timed)
}


def write(shard: TextIO, fact: Fact) -> None:
    """Append a fact, so that the parent can read it at once."""
    shard.write(json.dumps({"fact": type(fact).__name__, **asdict(fact)}) + "\n")
    shard.flush()


def parse(line: str) -> Fact:
    """The fact of one whole line."""
    row: dict[str, Any] = json.loads(line)
    kind = _KINDS[row.pop("fact")]
    if kind is Environment:
        row["machine"] = Machine(**row["machine"])
    if kind is Counted:
        row["uncounted"] = tuple(row["uncounted"])
    if kind is Timed:
        row["sample"] = Sample(**row["sample"])
    return kind(**row)


def read(shard: Path) -> Iterator[Fact]:
    """All facts of a shard; a last line that its worker could not finish is left out."""
    if shard.exists():
        whole, _, _ = shard.read_text(encoding="utf-8").rpartition("\n")
        yield from map(parse, filter(None, whole.splitlines()))
