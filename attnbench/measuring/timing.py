"""Rounds, warm-up and samples; knows clocks and callables, and no device.

Members are compared in pairs: a *round* times every member once, and what all are compared with several
times, in random order, so that whatever drifts on the machine meets all of them alike.
"""

import gc
import itertools
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from statistics import median

from attnbench.cases.protocol import Protocol
from attnbench.machine.clock import Clock
from attnbench.measuring.layers import WrongOutput

STABLE_CALLS = 4  # two halves of two calls each
STABLE_WITHIN = 0.02
PAUSE_S, SLOWER = 5.0, 3.0  # a sample that takes so much longer, and so many times as long, stood still


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a warm member is; `stable` says that it stopped getting faster before the time was over."""

    calls: int
    seconds: float
    per_call_s: float
    stable: bool


@dataclass(frozen=True, slots=True)
class Member:
    """What is timed: a call, how many of it make one sample, and what they must be inside of."""

    call: Callable[[], object]
    calls: int
    around: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True, slots=True)
class Turn:
    """One member's sample in a round: seconds per call by the clock that counts, and by its witness.

    `is_last` says that the round ends with it, `host_paced` that the device waited for the host in it, and
    `paused` that it took so much longer than the member's shortest that the process must have stood still.
    """

    member: int
    round: int
    position: int
    is_last: bool
    seconds: float
    wall_s: float
    host_paced: bool
    paused: bool


def sample(call: Callable[[], object], calls: int, clock: Clock) -> float:
    """Seconds per call over `calls` calls in a row."""
    return clock.time(call, calls).seconds / calls


def warm_up(call: Callable[[], object], clock: Clock, protocol: Protocol, first_s: float = 0.0) -> Pace:
    """Call until the time of a call is stable, the medians of the last halves within 2 %, or time is over.

    What happens once, such as allocation, happened in the first call, before this, which took `first_s` of
    the time; where it took all of it, it was all. Calls are taken by twos, fours and so on for as long as
    they make less than a sample together. A `WrongOutput` is what takes no time at all.
    """
    if first_s >= protocol.most_warmup_s > 0:
        return Pace(calls=1, seconds=first_s, per_call_s=first_s, stable=False)
    seconds: list[float] = []
    calls, done, total = 1, int(first_s > 0), first_s
    while True:
        seconds.append(sample(call, calls, clock))
        took, done = seconds[-1] * calls, done + calls
        if len(seconds) == STABLE_CALLS and not any(seconds):
            raise WrongOutput("its calls take the device no time: nothing is computed on it")
        total, stable = total + took, _is_stable(seconds)
        if total >= protocol.most_warmup_s or (stable and total >= protocol.least_warmup_s):
            return Pace(done, total, median(seconds[len(seconds) // 2 :]), stable)
        if took < protocol.min_sample_s:
            calls *= 2


def calls_per_sample(per_call_s: float, protocol: Protocol) -> int:
    """As many calls as make a sample long enough for its clock."""
    return math.ceil(protocol.min_sample_s / per_call_s)


def rounds(
    members: Sequence[Member],
    clock: Clock,
    witness: Clock,
    *,
    attend: Callable[[int], Sequence[int]],
    announce: Callable[[int], None],
    seed: str,
    deadline: float,
    now: Callable[[], float] = time.perf_counter,
) -> Iterator[Turn]:
    """Time members in rounds, in random order, until one more round would likely pass `deadline`.

    `attend` says who takes part in the round of a number, and names those several times that have several
    samples in it; `announce` hears of a member before each of its samples. `witness` times the same calls
    again; where it is `clock` itself, one sample serves both. The first round is always done.
    """
    shuffle = random.Random(seed)
    durations_s: list[float] = []
    shortest_s: dict[int, float] = {}
    for number in itertools.count() if members else ():
        started, present = now(), attend(number)
        if durations_s and started + median(durations_s) > deadline:
            return
        order = spread(present, shuffle)
        for position, index in enumerate(order):
            member = members[index]
            announce(index)
            began = now()
            with member.around():
                reading = clock.time(member.call, member.calls)
                seconds = reading.seconds / member.calls
                wall_s = seconds if witness is clock else sample(member.call, member.calls, witness)
            took_s = now() - began
            paused = took_s > PAUSE_S + SLOWER * shortest_s.get(index, took_s)
            shortest_s[index] = min(took_s, shortest_s.get(index, took_s))
            is_last = position == len(order) - 1
            yield Turn(index, number, position, is_last, seconds, wall_s, reading.host_paced, paused)
        gc.collect()
        durations_s.append(now() - started)


def spread(present: Sequence[int], shuffle: random.Random) -> list[int]:
    """In random order, in which those that come several times come in each of as many equal parts once."""
    times = Counter(present)
    moments = [
        ((part + shuffle.random()) / count, member)
        for member, count in times.items()
        for part in range(count)
    ]
    return [member for _, member in sorted(moments)]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Collect now, and inside only when asked; what lives already is not looked through again."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _is_stable(seconds: Sequence[float]) -> bool:
    if len(seconds) < STABLE_CALLS:
        return False
    quarter = max(2, len(seconds) // 4)
    before, after = median(seconds[-2 * quarter : -quarter]), median(seconds[-quarter:])
    return abs(after / before - 1) <= STABLE_WITHIN
