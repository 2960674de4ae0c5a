"""Clocks: what times a call so many times in a row; a device brings its own."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reading:
    """Seconds of all calls of a sample; `host_paced` says that the device waited for the host meanwhile."""

    seconds: float
    host_paced: bool = False


class Clock(Protocol):
    """Times a call so many times in a row."""

    def time(self, call: Callable[[], object], calls: int) -> Reading: ...


class WallClock:
    """The host's time, from nothing in flight to everything done."""

    def __init__(self, wait: Callable[[], None], now: Callable[[], float] = time.perf_counter) -> None:
        self.wait = wait
        self.now = now

    def time(self, call: Callable[[], object], calls: int) -> Reading:
        """Seconds of `calls` calls."""
        self.wait()
        started = self.now()
        for _ in range(calls):
            call()
        self.wait()
        return Reading(self.now() - started)
