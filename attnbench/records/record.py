"""The flat row that a measurement leaves behind, and the values in it: the narrow waist of attnbench.

Base units, the unit in the name; None = not measured. Neither torch nor pandas is needed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from attnbench.cases.case import Case
from attnbench.cases.models import Mixing
from attnbench.cases.protocol import Protocol
from attnbench.file_marks import COLUMNS, FLAT, SHARED, SPARSE
from attnbench.machine.devices import device_of
from attnbench.machine.fingerprint import Machine
from attnbench.machine.node import Allocation
from attnbench.machine.witness import Witness
from attnbench.records.codec import to_row
from attnbench.records.columns import Column, column_of

SCHEMA = 5
OUTCOMES = ("measured", "unsupported", "out_of_memory", "timed_out", "crashed", "wrong", "mistake")
EMULATED = "emulated."  # before a number format, in the flags: how many times as long a product takes


def emulation_of(device: str, dtype: str) -> str:
    """The flag that says so of a format on a device; the host's goes without its name."""
    return f"{EMULATED}{'' if device_of(device).on_host else f'{device}.'}{dtype}"


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
    macs_by_operator: Mapping[str, int] = field(metadata=SHARED)
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
    protocol: Protocol = field(metadata=SHARED)
    flags: Mapping[str, str] = field(metadata=SHARED)
    started_at: str = field(metadata=SHARED)
    machine: Machine = field(metadata=SHARED)
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
    block: str = field(metadata=SHARED)
    case: Case = field(metadata=FLAT)
    outcome: str = field(metadata={"values": OUTCOMES})
    reason: str | None
    complete: bool
    cost: Cost | None = field(metadata=FLAT)
    macs_closed_form: int | None
    prediction: Prediction | None = field(metadata=FLAT)
    memory: Memory | None
    check: Check | None = field(metadata=FLAT)
    samples: Sequence[Sample] = field(metadata=COLUMNS)
    warmups: tuple[Warmup, ...]
    witnesses: tuple[Witness, ...] = field(metadata=SHARED)
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

    def sampled(self, name: str) -> Column:
        """What samples have in the field of this name, without making them."""
        return column_of(self.samples, name)

    @property
    def refused(self) -> bool:
        """Whether it was not tried, because it was expected to need more memory than there was."""
        return self.prediction is not None and not self.prediction.fits


def key(case: Case, protocol: Protocol, threads: int, machine: Machine) -> str:
    """What decides a case's number, in twelve digits: the same key, the same measurement."""
    decisive = [SCHEMA, to_row(case), to_row(protocol), threads, machine.decisive(case.device)]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]
