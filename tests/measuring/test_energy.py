"""Energy is what a counter gave between two of its movements, and the calls between them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from attnbench.measuring.energy import Spent, kept_busy, spent
from attnbench.measuring.timing import Member
from tests.fakes import FakeClock
from tests.simulated_cuda import SimulatedCuda


def counter(clock: FakeClock, watts: float, step_s: float = 0.1) -> Callable[[], float]:
    """A counter that moves every so many seconds, as drivers' do."""
    return lambda: watts * step_s * (clock.now // step_s)


def calls(clock: FakeClock, seconds: float, number: int) -> Callable[[], int]:
    def some() -> int:
        clock.now += seconds
        return number

    return some


def test_power_is_right_although_the_counter_moves_in_steps_longer_than_a_call():
    clock = FakeClock(now=0.031)
    found = spent(calls(clock, 0.004, 3), counter(clock, watts=300), 0.5, clock)
    assert found is not None
    assert found.joules / found.seconds == pytest.approx(300, rel=0.02)
    assert found.calls / found.seconds == pytest.approx(750, rel=0.01)


@pytest.mark.parametrize(("least_s", "found"), [(0.25, Spent(25.0, 0.25, 4)), (0.3, Spent(37.5, 0.375, 6))])
def test_both_ends_are_moments_at_which_the_counter_has_just_moved(least_s: float, found: Spent):
    clock = FakeClock()
    moving = counter(clock, watts=100, step_s=0.125)
    assert spent(calls(clock, 0.0625, 1), moving, least_s, clock) == found


def test_calls_before_the_first_movement_do_not_count():
    clock = FakeClock(now=0.0999)
    found = spent(calls(clock, 0.05, 7), counter(clock, watts=100), 0.2, clock)
    assert found is not None
    assert found.calls == 7 * round(found.seconds / 0.05)


def test_a_counter_that_does_not_move_gives_nothing_and_takes_no_longer_than_four_times_what_was_asked():
    clock = FakeClock()
    assert spent(calls(clock, 0.01, 1), lambda: 5.0, 0.5, clock) is None
    assert clock.now == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("silent_after_s", [0, 0.01, 0.575])
def test_a_counter_that_falls_silent_gives_nothing_and_is_asked_no_more(silent_after_s: float):
    clock = FakeClock()
    tells = counter(clock, watts=100)
    asked = spent(
        calls(clock, 0.01, 1), lambda: tells() if clock.now <= silent_after_s else None, 0.45, clock
    )
    assert asked is None
    assert clock.now == pytest.approx(silent_after_s, abs=0.0101)


def test_something_is_always_queued_while_the_counter_is_read():
    log: list[str] = []

    def mark() -> Callable[[], None]:
        log.append("mark")
        return lambda: log.append("wait")

    @contextmanager
    def around() -> Iterator[None]:
        log.append("inside")
        yield

    some_calls = kept_busy(Member(lambda: log.append("call"), 2, around), mark)
    assert [some_calls() for _ in range(3)] == [0, 8, 8]
    queued = ["inside", *["call"] * 8, "mark"]
    assert log == ["mark", "wait", *queued, *queued, "wait", *queued, "wait"]


def test_what_another_layer_left_queued_is_not_this_ones():
    device, ticks = SimulatedCuda(), 0.004
    device.layer(1, 0.2)()

    def mark() -> Callable[[], None]:
        event = device.Event(enable_timing=True)
        event.record()
        return event.synchronize

    def joules() -> float:
        device.now += 0.002
        return 100 * ticks * (device.now // ticks)

    member = Member(device.layer(1, 0.005), 1)
    found = spent(kept_busy(member, mark), joules, 0.5, lambda: device.now)
    assert found is not None
    assert found.seconds / found.calls == pytest.approx(0.005, rel=0.05)
