"""The clock of NVIDIA's GPUs: events around calls that are queued while the device sleeps."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from attnbench.machine.clock import Reading

FIRST_SLEEP_S = 0.0005  # of the device, before anything is known of how long the host queues a call
SPARE_SLEEP_S = 0.0001  # beyond what the host is expected to take
MARGIN = 1.5  # times what the host took at best
LONGEST_SLEEP_S = 0.25
PATIENCE = 3  # tries at a number of calls, each behind twice the sleep of the one before it, and samples
CALIBRATION_CYCLES = 1_000_000  # about half a millisecond of a GPU


@dataclass(frozen=True, slots=True)
class Queued:
    """What the device took from the first event to the last, and the host to queue what is between them."""

    device_s: float
    host_s: float
    ahead: bool


@dataclass(slots=True)
class Queueing:
    """How fast the host queues a call, and how many of it the device takes in at once.

    `waits` counts the samples on end in which not even one call could be queued ahead. After some of them
    it is a call that the host waits for itself: `most_calls` is 0 then. A host that was held up once takes
    twice as many each time, until as many are `too_many` again.
    """

    host_s: float | None = None
    most_calls: int | None = None
    waits: int = 0
    grown: bool = False
    too_many: bool = False

    def went(self, calls: int) -> None:
        """So many were queued ahead."""
        self.waits = 0
        if self.most_calls == calls and not self.too_many:
            self.most_calls, self.grown = 2 * calls, True

    def was_too_much(self, calls: int) -> None:
        """So many could not be, and there are fewer."""
        self.most_calls, self.too_many = calls // 2, self.grown

    def waited(self) -> None:
        """Not even one could be."""
        self.waits += 1
        self.most_calls = 0 if self.waits == PATIENCE else 1


class CudaClock:
    """The device's own time between two events around the queued calls.

    The device sleeps first, for longer than the host takes to queue the calls, so that the time holds no
    launch gaps. Whether it did is looked at in each sample: the first event must still be to come when the
    last one is queued. A sample whose launches do not fit into the device's queue is timed in parts. `cuda`
    is torch's module of this name, or what a test simulates.
    """

    def __init__(self, cuda: Any, now: Callable[[], float] = time.perf_counter) -> None:
        self.cuda = cuda
        self.now = now
        self._cycles_per_s = 0.0
        self._queueing: dict[Callable[[], object], Queueing] = {}

    def time(self, call: Callable[[], object], calls: int) -> Reading:
        """Seconds of the device in `calls` calls."""
        if not self._cycles_per_s:
            self._cycles_per_s = self._clock_rate()
        known = self._queueing.setdefault(call, Queueing())
        done, seconds = 0, 0.0
        while done < calls and known.most_calls != 0:
            part = min(calls - done, known.most_calls or calls)
            part_s = self._behind_a_sleep(call, part, known)
            if part_s is not None:
                done, seconds = done + part, seconds + part_s
                known.went(part)
            elif part > 1:
                known.was_too_much(part)
            else:
                known.waited()
                break
        if done == calls:
            return Reading(seconds)
        queued = self._queue(call, calls, FIRST_SLEEP_S)
        return Reading(queued.device_s, host_paced=True)

    def _behind_a_sleep(self, call: Callable[[], object], calls: int, known: Queueing) -> float | None:
        """Seconds of calls that were all queued while the device slept; None where that cannot be had."""
        for attempt in range(PATIENCE):
            expected_s = 0.0 if known.host_s is None else MARGIN * known.host_s * calls
            sleep_s = max(FIRST_SLEEP_S, expected_s + SPARE_SLEEP_S) * 2**attempt
            queued = self._queue(call, calls, min(LONGEST_SLEEP_S, sleep_s))
            host_s = queued.host_s / calls
            known.host_s = host_s if known.host_s is None else min(known.host_s, host_s)
            if queued.ahead:
                return queued.device_s
        return None

    def _clock_rate(self) -> float:
        """Cycles a second of the device, from the second of two sleeps: the first may load code."""
        for _ in range(2):
            first, last = (self.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            self.cuda._sleep(CALIBRATION_CYCLES)
            last.record()
            last.synchronize()
        return CALIBRATION_CYCLES / (float(first.elapsed_time(last)) / 1000)

    def _queue(self, call: Callable[[], object], calls: int, sleep_s: float) -> Queued:
        """Queue a sleep and the calls behind it, and wait for all; the sleep tells the clock rate."""
        asleep, first, last = (self.cuda.Event(enable_timing=True) for _ in range(3))
        cycles = round(sleep_s * self._cycles_per_s)
        self.cuda.synchronize()
        asleep.record()
        self.cuda._sleep(cycles)
        first.record()
        started = self.now()
        for _ in range(calls):
            call()
        last.record()
        host_s = self.now() - started
        ahead = not first.query()
        last.synchronize()
        self._cycles_per_s = cycles / (asleep.elapsed_time(first) / 1000)
        return Queued(first.elapsed_time(last) / 1000, host_s, ahead)
