"""Rounds, warm-up and samples, on a clock that moves when told."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
import pytest

from attnbench.cases.protocol import Protocol
from attnbench.machine.clock import Reading
from attnbench.measuring.layers import WrongOutput
from attnbench.measuring.timing import (
    Member,
    Turn,
    calls_per_sample,
    collector_paused,
    rounds,
    sample,
    warm_up,
)
from attnbench.statistics import paired_ratio
from tests.fakes import FakeClock

PROTOCOL = Protocol(sessions=1, precision=0.02, max_seconds=60, most_warmup_s=5)


def turns(
    members: Sequence[Member],
    clock: FakeClock,
    *,
    seed: str = "0/0",
    deadline: float = 1e9,
    announce: Callable[[int], None] = lambda member: None,
    attend: Callable[[int], Sequence[int]] | None = None,
) -> Iterator[Turn]:
    attend = attend or (lambda number: range(len(members)))
    with collector_paused():
        yield from rounds(
            members, clock, clock, attend=attend, announce=announce, seed=seed, deadline=deadline, now=clock
        )


def test_samples_are_inside_what_their_member_needs():
    clock, inside = FakeClock(), [0]

    @contextmanager
    def around() -> Iterator[None]:
        inside[0] += 1
        yield
        inside[0] -= 1

    def call() -> None:
        clock.now += inside[0]

    assert [turn.seconds for turn in turns([Member(call, 4, around)], clock, deadline=9)] == [1, 1]


def test_a_call_that_takes_next_to_no_time_is_warmed_up_by_many():
    clock, calls = FakeClock(), [0]

    def call() -> None:
        calls[0] += 1
        clock.now += 1e-6

    pace = warm_up(call, clock, PROTOCOL)
    assert pace.per_call_s == pytest.approx(1e-6)
    assert pace.calls == calls[0]
    assert pace.seconds == pytest.approx(calls[0] * 1e-6)
    assert 0.3 <= pace.seconds < 0.32


def test_a_sample_is_the_time_of_one_call():
    clock = FakeClock()
    assert sample(clock.work(0.5), 4, clock) == 0.5


def test_a_sample_in_which_the_process_stood_still_is_marked():
    clock = FakeClock()
    lengths = iter([0.2, 0.1, 60.0, 60.0, 0.9, 5.0])

    def call() -> None:
        clock.now += next(lengths)

    taken = list(islice(turns([Member(call, 1)], clock), 6))
    assert [turn.paused for turn in taken] == [False, False, True, True, False, False]


def test_a_layer_that_is_slow_has_not_stood_still():
    clock = FakeClock()
    lengths = iter([20.0, 50.0, 30.0])

    def call() -> None:
        clock.now += next(lengths)

    assert not any(turn.paused for turn in islice(turns([Member(call, 1)], clock), 3))


def test_a_sample_holds_as_many_calls_as_make_it_long_enough():
    assert calls_per_sample(0.002, PROTOCOL) == 3
    assert calls_per_sample(0.7, PROTOCOL) == 1


@pytest.mark.parametrize("least_warmup_s", [0.0, 1.0])
def test_what_takes_a_device_no_time_is_no_work(least_warmup_s: float):
    protocol = replace(PROTOCOL, least_warmup_s=least_warmup_s)
    with pytest.raises(WrongOutput, match="its calls take the device no time"):
        warm_up(lambda: None, FakeClock(), protocol)


def test_one_reading_of_no_time_is_not_taken_for_no_work():
    clock = FakeClock()
    durations = iter([0.0, *[0.01] * 99])

    def call() -> None:
        clock.now += next(durations)

    assert warm_up(call, clock, PROTOCOL).per_call_s == pytest.approx(0.01)


def test_warm_up_goes_on_until_calls_stop_getting_faster():
    clock = FakeClock()
    durations = iter([2.0, 1.0, 0.5, 0.25, *[0.1] * 20])

    def call() -> None:
        clock.now += next(durations)

    warmup = warm_up(call, clock, PROTOCOL)
    assert warmup.stable
    assert warmup.calls == 8
    assert warmup.per_call_s == pytest.approx(0.1)


def test_warm_up_lasts_its_least_time_even_when_stable_at_once():
    clock = FakeClock()
    assert warm_up(clock.work(0.01), clock, PROTOCOL).seconds == pytest.approx(0.3, abs=0.011)


def test_warm_up_that_never_settles_ends_at_its_cap_and_says_so():
    clock = FakeClock()
    durations = (0.1 * (1 + index % 2) * 1.5**index for index in range(100))

    def call() -> None:
        clock.now += next(durations)

    warmup = warm_up(call, clock, PROTOCOL)
    assert not warmup.stable
    assert 5 <= warmup.seconds < 12


def test_the_longer_a_warm_up_is_the_longer_are_the_stretches_that_must_agree():
    clock = FakeClock()
    durations = (0.1 * 0.994**index for index in range(100))

    def call() -> None:
        clock.now += next(durations)

    assert not warm_up(call, clock, replace(PROTOCOL, least_warmup_s=2.0)).stable


def test_warm_up_may_be_cut_to_its_share_of_the_time():
    assert PROTOCOL.within(2).most_warmup_s == 2
    assert PROTOCOL.within(9).most_warmup_s == 5
    assert (PROTOCOL.within(0.1).least_warmup_s, PROTOCOL.within(0.1).most_warmup_s) == (0.1, 0.1)


def test_a_slow_call_is_warmed_up_by_one_where_there_is_time_for_no_more():
    clock = FakeClock()
    assert warm_up(clock.work(0.4), clock, PROTOCOL.within(0.3)).calls == 1


def test_a_first_call_that_took_all_the_time_for_warm_up_was_all_of_it():
    clock = FakeClock()
    pace = warm_up(clock.work(0.4), clock, PROTOCOL.within(0.3), first_s=0.5)
    assert (pace.calls, pace.seconds, pace.per_call_s, pace.stable) == (1, 0.5, 0.5, False)
    assert clock.now == 0
    second = warm_up(clock.work(0.4), clock, PROTOCOL.within(0.3), first_s=0.2)
    assert (second.calls, second.per_call_s) == (2, 0.4)
    assert second.seconds == pytest.approx(0.6)
    assert warm_up(clock.work(0.4), clock, PROTOCOL, first_s=0.5).stable
    nothing = replace(PROTOCOL, least_warmup_s=0.0, most_warmup_s=0.0)
    assert warm_up(clock.work(0.4), clock, nothing, first_s=0.5).calls == 2


def test_a_round_holds_those_who_attend_it():
    clock = FakeClock()
    members = [Member(clock.work(seconds), 1) for seconds in (1, 2, 3)]
    three = list(islice(turns(members, clock, attend=lambda number: [(0, 1, 2), (0, 2), (1,)][number]), 6))
    assert [(turn.round, turn.is_last) for turn in three] == [
        (0, False), (0, False), (0, True), (1, False), (1, True), (2, True),
    ]  # fmt: skip
    assert {turn.member for turn in three if turn.round == 1} == {0, 2}
    assert three[-1].member == 1


def test_a_member_that_comes_several_times_in_a_round_comes_once_in_each_equal_part_of_it():
    clock, three_times = FakeClock(), [0, 0, 0, *range(1, 16)]
    members = [Member(clock.work(1), 1) for _ in range(16)]
    timed = list(islice(turns(members, clock, attend=lambda number: three_times), 40 * 18))
    assert [turn.position for turn in timed[:18]] == list(range(18))
    assert [turn.is_last for turn in timed[:18]] == [False] * 17 + [True]
    for number in range(40):
        places = [turn.position for turn in timed if (turn.round, turn.member) == (number, 0)]
        others = sorted(turn.member for turn in timed if turn.round == number and turn.member)
        assert len(places) == 3
        assert others == list(range(1, 16))
    first, second, last = np.array([turn.position for turn in timed if not turn.member]).reshape(40, 3).T
    assert first.mean() < 5 < second.mean() < 12 < last.mean()
    assert len({*first.tolist()}) > 3


def test_every_round_times_every_member_once():
    clock = FakeClock()
    members = [Member(clock.work(seconds), 1) for seconds in (1, 2, 3)]
    four_rounds = list(islice(turns(members, clock), 12))
    assert [turn.round for turn in four_rounds] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert [turn.position for turn in four_rounds] == [0, 1, 2] * 4
    assert all(turn.seconds == turn.wall_s == turn.member + 1 for turn in four_rounds)
    for number in range(4):
        assert sorted(turn.member for turn in four_rounds if turn.round == number) == [0, 1, 2]


def order(seed: str) -> list[int]:
    """The members in the order of the first two rounds."""
    clock = FakeClock()
    return [turn.member for turn in islice(turns([Member(clock.work(1), 1)] * 6, clock, seed=seed), 12)]


def test_the_order_inside_rounds_is_random_and_fixed_by_the_seed():
    assert order("0/0")[:6] != order("0/0")[6:]
    assert order("0/0") == order("0/0")
    assert order("0/0") != order("1/0")
    assert order("0/0") != order("0/1")


def test_a_member_is_announced_right_before_its_sample():
    heard: list[tuple[str, int]] = []
    members = [Member(partial(heard.append, ("called", number)), 1) for number in (0, 1)]
    timed = turns(members, FakeClock(), announce=lambda member: heard.append(("announced", member)))
    order = [turn.member for turn in islice(timed, 6)]
    assert heard == [(what, member) for member in order for what in ("announced", "called")]


def test_no_round_begins_that_would_pass_the_deadline():
    clock = FakeClock()
    assert len(list(turns([Member(clock.work(1), 10)], clock, deadline=35))) == 3
    assert clock.now == 30


def test_a_typical_round_says_whether_another_one_fits_and_not_the_longest():
    clock = FakeClock()
    durations = iter([1.0, 1.0, 10.0, *[1.0] * 20])

    def call() -> None:
        clock.now += next(durations)

    assert len(list(turns([Member(call, 1)], clock, deadline=20.5))) == 11


def test_one_round_is_timed_even_past_the_deadline():
    clock = FakeClock(now=5)
    members = [Member(clock.work(100), 1), Member(clock.work(100), 1)]
    assert len(list(turns(members, clock, deadline=1))) == 2


def test_a_block_without_members_has_no_rounds():
    assert list(turns([], FakeClock())) == []


def test_a_witness_of_its_own_times_the_same_calls_again():
    device, host = FakeClock(), FakeClock()

    def call() -> None:
        device.now += 2
        host.now += 3

    (turn,) = rounds(
        [Member(call, 5)],
        device,
        host,
        attend=lambda number: [0],
        announce=lambda member: None,
        seed="",
        deadline=1,
        now=host,
    )
    assert (turn.seconds, turn.wall_s) == (2, 3)


@pytest.mark.parametrize("host_paced", [True, False])
def test_a_sample_that_the_device_waited_in_says_so(host_paced: bool):
    class Paced(FakeClock):
        def time(self, call: Callable[[], object], calls: int) -> Reading:
            return replace(super().time(call, calls), host_paced=host_paced)

    clock = Paced()
    assert [turn.host_paced for turn in turns([Member(clock.work(1), 1)], clock, deadline=1)] == [host_paced]


def test_the_collector_rests_inside_a_round_and_works_after_it():
    clock, states = FakeClock(), []

    def call() -> None:
        clock.now += 1
        states.append((gc.isenabled(), gc.get_freeze_count() > 0))

    list(turns([Member(call, 1)], clock, deadline=5))
    assert states == [(False, True)] * 5
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_what_a_round_left_is_collected_before_the_next_one():
    clock, collected = FakeClock(), []

    class Cycle:
        def __init__(self) -> None:
            clock.now += 1
            self.own = self

        def __del__(self) -> None:
            collected.append(clock.now)

    list(turns([Member(Cycle, 1)], clock, deadline=3))
    assert collected == [1, 2, 3]


def slowing(clock: FakeClock, calls: int) -> Callable[[], None]:
    """A call that takes 30 % longer at the end of so many than at their beginning."""
    done = iter(range(calls))

    def call() -> None:
        clock.now += 0.01 * (1 + 0.3 * next(done) / (calls - 1))

    return call


def test_drift_of_the_machine_cancels_in_pairs():
    clock = FakeClock()
    call = slowing(clock, 60)
    timed = list(islice(turns([Member(call, 1), Member(call, 1)], clock), 60))
    first, second = ([turn.seconds for turn in timed if turn.member == member] for member in (0, 1))
    assert abs(paired_ratio(first, second, [0] * 30).value - 1) < 0.02


def test_drift_of_the_machine_shows_when_members_follow_each_other():
    clock = FakeClock()
    call = slowing(clock, 60)
    seconds = [sample(call, 1, clock) for _ in range(60)]
    assert np.median(seconds[30:]) / np.median(seconds[:30]) > 1.08
