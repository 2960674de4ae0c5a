"""Clocks wait for the work before they look at the time."""

import pytest
import torch

from attnbench.measure import clock as clock_module
from attnbench.measure.clock import CudaClock, WallClock, clocks


def test_the_wall_clock_waits_for_the_device_before_it_starts_and_before_it_stops():
    log: list[str] = []
    times = iter([10.0, 13.0])

    def now() -> float:
        log.append("look")
        return next(times)

    clock = WallClock(lambda: log.append("wait"), now)
    clock.start()
    assert clock.stop() == 3.0
    assert log == ["wait", "look", "wait", "look"]


def test_the_cuda_clock_records_its_events_around_the_work(monkeypatch: pytest.MonkeyPatch):
    log: list[str] = []

    class FakeEvent:
        names = iter(["first", "last"])

        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing
            self.name = next(self.names)

        def record(self) -> None:
            log.append(f"record {self.name}")

        def synchronize(self) -> None:
            log.append(f"wait for {self.name}")

        def elapsed_time(self, other: "FakeEvent") -> float:
            return {("first", "last"): 1500.0}[self.name, other.name]

    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("synchronise"))
    monkeypatch.setattr(torch.cuda, "_sleep", lambda _: log.append("sleep"))

    clock = CudaClock()
    clock.start()
    log.append("work")
    assert clock.stop() == 1.5
    assert log == ["synchronise", "sleep", "record first", "work", "record last", "wait for last"]


def test_a_cpu_has_one_clock_for_both_times():
    clock, witness = clocks("cpu")
    assert clock is witness


def test_a_cuda_device_is_timed_by_events_with_the_wall_clock_beside_them():
    clock, witness = clocks("cuda")
    assert isinstance(clock, CudaClock)
    assert isinstance(witness, WallClock)
    assert witness.wait is torch.cuda.synchronize


@pytest.mark.cuda
def test_on_a_gpu_device_time_is_close_to_the_wall_time_of_long_work():
    a = torch.randn(4096, 4096, device="cuda")
    times = []
    for clock in clock_module.clocks("cuda"):
        _ = a @ a
        clock.start()
        for _ in range(20):
            _ = a @ a
        times.append(clock.stop())
    assert times[0] == pytest.approx(times[1], rel=0.2)
