"""Stand-ins that tests share."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import rows
from attnbench.cases.case import TABLE_IV, Case, Role
from attnbench.cases.protocol import Protocol
from attnbench.cases.variant import PLAIN
from attnbench.machine.clock import Reading
from attnbench.machine.fingerprint import Machine
from attnbench.machine.witness import Witness
from attnbench.paper.claims import Claim, Metric, Relation
from attnbench.records.record import Check, Conditions, Cost, Memory, Prediction, Record, Sample, Warmup
from attnbench.records.record_file import RecordFile
from attnbench.statistics import Estimate


@dataclass
class FakeClock:
    """A clock that moves when told."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def time(self, call: Callable[[], object], calls: int) -> Reading:
        started = self.now
        for _ in range(calls):
            call()
        return Reading(self.now - started)

    def work(self, seconds: float) -> Callable[[], None]:
        """A call that takes so long."""

        def call() -> None:
            self.now += seconds

        return call


def record(label: str = "msa", times_s: Sequence[float] = (), sessions: int = 1, **changes: Any) -> Record:
    """A measured record in Table IV's setting with these seconds per call, one a round, in equal sessions."""
    places = [divmod(number, max(1, len(times_s) // sessions)) for number in range(len(times_s))]
    plain = Record(
        key=f"key of {label}",
        block="block",
        case=Case(
            role=Role.member,
            mechanism=label.partition(":")[0],
            label=label,
            title=changes.pop("title", label.upper()),
            settings={},
            source="source",
            workload=TABLE_IV,
            device="cpu",
            variant=PLAIN,
        ),
        outcome="measured",
        reason=None,
        complete=True,
        cost=Cost(1_000_000, 500_000_000, {"linear": 500_000_000}, (), 100_000_000),
        macs_closed_form=500_000_000,
        prediction=None,
        memory=None,
        check=None,
        samples=tuple(Sample(*place, 0, time, time) for place, time in zip(places, times_s, strict=True)),
        warmups=(Warmup(0, calls=2, seconds=0.5, stable=True, calls_per_sample=1),),
        witnesses=(),
        conditions=Conditions(
            threads=2,
            protocol=Protocol(sessions=3, precision=0.02, max_seconds=300),
            flags={},
            started_at="2026-01-01T00:00:00+00:00",
            machine=MACHINE,
        ),
    )
    return changed(plain, **changes)


def changed(value: Any, **changes: Any) -> Any:
    """A value with other fields, wherever in it they are: those of its workload, variant, cost and so on."""
    own = {name: changes.pop(name) for name in list(changes) if name in names_of(value)}
    for name in names_of(value) - own.keys():
        part = getattr(value, name)
        if not is_dataclass(part) and name not in PARTS:
            continue
        theirs = {each: changes.pop(each) for each in list(changes) if each in names_inside(value, name)}
        if theirs:
            own[name] = changed(PARTS[name] if part is None else part, **theirs)
    assert not changes, f"{type(value).__name__} has no {', '.join(changes)}"
    return replace(value, **own)


def names_of(value: Any) -> set[str]:
    return {field.name for field in fields(value)}


def names_inside(value: Any, name: str) -> set[str]:
    """The fields of a part, and of the parts of that."""
    part = PARTS[name] if getattr(value, name) is None else getattr(value, name)
    inner = [each for each in names_of(part) if is_dataclass(getattr(part, each))]
    return names_of(part).union(*(names_inside(part, each) for each in inner))


PARTS = {
    "prediction": Prediction(None, 0),
    "check": Check(0.0, None),
    "cost": Cost(0, 0, {}, (), 0),
}
"""What stands for a part that a record has not, where one of its fields is to be another."""


def block(times_s: Mapping[str, Sequence[float]], sessions: int = 1, **changes: Any) -> list[Record]:
    """Records that were timed in turn: members by label, and a twin that takes as long as the first."""
    members = [record(label, seconds, sessions, **changes) for label, seconds in times_s.items()]
    return [*members, changed(members[0], role=Role.twin)]


def in_sessions(label: str, *logarithms: float, first: int = 0, **changes: Any) -> Record:
    """A record whose sessions, of five rounds each, have these logarithms of seconds per call."""
    found = record(label, [math.exp(each) for each in logarithms for _ in range(5)], len(logarithms))
    samples = (replace(each, session=first + each.session) for each in found.samples)
    return changed(found, samples=tuple(samples), **changes)


def claim(**changes: Any) -> Claim:
    """That HiLo is at least 1.4 times as fast as SRA on a CPU, in Table IV's setting on any machine."""
    plain = Claim(
        id="mine",
        sentence="HiLo is fast.",
        source="page 1",
        mechanism="hilo",
        metric=Metric.speed,
        relation=Relation.faster,
        than=("sra",),
        times=1.4,
        device="cpu",
    )
    return replace(plain, **changes)


def run_of(name: str, records: Sequence[Record], baseline: str | None = None) -> Analysis:
    """These records as the run in a folder of this name."""
    return Analysis(name, RecordFile(Path(name), tuple(records), ()), rows(records, baseline))


def exactly(value: float) -> Estimate:
    """What equals an estimate without any spread, but for the last digits."""
    near: Any = pytest.approx(value)
    return Estimate(near, near, near)


def witness(session: int = 0, **changes: Any) -> Witness:
    """What a session of 100 seconds sees on a quiet machine."""
    quiet = Witness(
        session=session,
        device="cpu",
        started_at="2026-01-01T00:00:00+00:00",
        wall_s=100.0,
        cpu_s=100.0,
        others_cpu_s=1.0,
        steal_s=0.0,
        pressure_s=0.0,
        involuntary_switches=100,
        throttled_s=0.0,
        swapped_bytes=0,
        load=0.1,
        logical_cores=2,
        gpu_clock_mhz_start=None,
        gpu_clock_mhz_end=None,
        gpu_temperature_c=None,
        gpu_power_w=None,
        gpu_throttle_reasons=None,
    )
    return replace(quiet, **changes)


MEMORY = Memory(
    peak_bytes=1000 * 2**20,
    entry_bytes=2**20,
    scope="cpu",
    repeatable=True,
    reserved_bytes=None,
    process_bytes=2**30,
)
MACHINE = Machine(
    cpu="Abacus",
    cores=2,
    logical_cores=2,
    threads_per_core=1,
    sockets=1,
    numa_nodes=1,
    last_level_cache_bytes=2**25,
    memory_bytes=2**34,
    memory_limit_bytes=None,
    capability="AVX2",
    governor="performance",
    turbo="off",
    transparent_hugepages="madvise",
    virtual=None,
    cpu_quota=None,
    gpu="Loom",
    gpu_memory_bytes=2**36,
    gpu_processors=100,
    gpu_power_limit_w=700.0,
    gpu_ecc="Enabled",
    gpu_clock_max_mhz=1980.0,
    driver="1.0",
    cuda="12.8",
    cudnn="91002",
    triton="3.5.0",
    system="Linux 6",
    python="3.11.0",
    torch="2.13.0",
    torch_commit="0123456789ab",
    parallel="OpenMP 201511",
    environment={},
    attnbench="0.1.0",
    commit=None,
)
