"""Energy of calls, from a counter that the device's driver keeps.

The counter moves in steps of many milliseconds, longer than a sample lasts. So a layer's calls go on for as
long as some steps take, and both ends of what counts are moments at which the counter has just moved.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from attnbench.measuring.timing import Member

SAMPLES_AT_ONCE = 4  # as many calls as these have, so that they last longer than a counter takes to read
PATIENCE = 4  # times what was asked for, until a counter that does not move is given up


Meter = Callable[[], float | None]
"""Joules that a device has used since some moment; None when it does not tell."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What so many calls took, between two movements of the counter."""

    joules: float
    seconds: float
    calls: int


def kept_busy(member: Member, mark: Callable[[], Callable[[], None]]) -> Callable[[], int]:
    """Makes some calls, and says how many are done: those of the time before, while its own are queued.

    To read a counter takes milliseconds, in which a device that has nothing queued would rest. What others
    have left queued is waited for first, for its energy is theirs.
    """
    ahead: Callable[[], None] | None = None
    calls = SAMPLES_AT_ONCE * member.calls

    def some_calls() -> int:
        nonlocal ahead
        if ahead is None:
            mark()()
        with member.around():
            for _ in range(calls):
                member.call()
        before, ahead = ahead, mark()
        if before is None:
            return 0
        before()
        return calls

    return some_calls


def spent(
    some_calls: Callable[[], int], meter: Meter, least_s: float, now: Callable[[], float] = time.perf_counter
) -> Spent | None:
    """What calls take over at least so many seconds of the counter; None where it hardly moves, or is silent.

    `some_calls` makes some calls, waits until they are done, and says how many they were.
    """
    started, before, calls = now(), meter(), 0
    first: tuple[float, float, int] | None = None
    while now() - started < PATIENCE * least_s:
        calls += some_calls()
        moment, joules = now(), meter()
        if joules is None:
            return None
        if joules == before:
            continue
        before = joules
        if first is None:
            first = moment, joules, calls
        elif moment - first[0] >= least_s:
            return Spent(joules - first[1], moment - first[0], calls - first[2])
    return None
