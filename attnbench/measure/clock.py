"""Clocks: the one thing in which devices differ when something is timed."""

import time
from collections.abc import Callable
from typing import Protocol

import torch

QUEUE_AHEAD_CYCLES = 1_000_000  # about half a millisecond of a GPU, in which the host queues calls ahead


class Clock(Protocol):
    """Between `start` and `stop` the work of one sample is done; `stop` returns its seconds."""

    def start(self) -> None: ...

    def stop(self) -> float: ...


class WallClock:
    """The host's time, from nothing in flight to everything done."""

    def __init__(self, wait: Callable[[], None], now: Callable[[], float] = time.perf_counter) -> None:
        self.wait = wait
        self.now = now

    def start(self) -> None:
        self.wait()
        self.started = self.now()

    def stop(self) -> float:
        self.wait()
        return self.now() - self.started


class CudaClock:
    """The device's own time between two events around the queued calls.

    A short sleep on the device goes first, so that the host runs ahead and the time holds no launch gaps.
    """

    def start(self) -> None:
        self.first = torch.cuda.Event(enable_timing=True)
        self.last = torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        torch.cuda._sleep(QUEUE_AHEAD_CYCLES)
        self.first.record()

    def stop(self) -> float:
        self.last.record()
        self.last.synchronize()
        return float(self.first.elapsed_time(self.last)) / 1000


def clocks(device: str) -> tuple[Clock, Clock]:
    """The clock whose seconds count on `device`, and the wall clock that is its witness."""
    if device == "cuda":
        return CudaClock(), WallClock(torch.cuda.synchronize)
    wall = WallClock(lambda: None)
    return wall, wall
