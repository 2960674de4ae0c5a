"""Stand-ins that tests share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attnbench.machine import Machine
from attnbench.record import Record, Sample
from attnbench.sweep import Protocol


@dataclass
class FakeClock:
    """A clock that moves when told."""

    now: float = 0.0
    started: float = 0.0

    def __call__(self) -> float:
        return self.now

    def start(self) -> None:
        self.started = self.now

    def stop(self) -> float:
        return self.now - self.started

    def work(self, seconds: float) -> Callable[[], None]:
        """A call that takes so long."""

        def call() -> None:
            self.now += seconds

        return call


def record(label: str = "msa", times_s: Sequence[float] = (), **changes: Any) -> Record:
    """A measured record in Table IV's setting with these seconds per call, one a round."""
    plain = Record(
        mechanism=label.partition(":")[0],
        label=label,
        title=changes.pop("title", label.upper()),
        settings={},
        dim=768,
        heads=12,
        height=14,
        width=14,
        batch=64,
        mode="inference",
        device="cpu",
        dtype="float32",
        kernel="explicit",
        outcome="measured",
        reason=None,
        params=1_000_000,
        macs=500_000_000,
        macs_closed_form=500_000_000,
        macs_by_operator={"linear": 500_000_000},
        uncounted=(),
        samples=tuple(Sample(0, number, 0, seconds, seconds) for number, seconds in enumerate(times_s)),
        calls_per_sample=1,
        warmup_calls=2,
        warmup_s=0.5,
        warmup_stable=True,
        threads=2,
        protocol=Protocol(30, 300, 0.3, 3, 0.005, 0),
        flags={},
        started_at="2026-01-01T00:00:00+00:00",
        machine=MACHINE,
    )
    return replace(plain, **changes)


MACHINE = Machine(
    cpu="Abacus",
    cores=2,
    memory_bytes=2**34,
    capability="AVX2",
    gpu="Loom",
    gpu_memory_bytes=2**36,
    driver="1.0",
    cuda="12.8",
    system="Linux 6",
    python="3.11.0",
    torch="2.13.0",
    attnbench="0.1.0",
    commit=None,
)
