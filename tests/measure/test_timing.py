"""Rounds, warm-up and samples, on a clock that moves when told."""

import gc
from dataclasses import replace

import numpy as np
import pytest

from attnbench.measure.timing import Member, calls_per_sample, rounds, sample, warm_up
from attnbench.statistics import paired_ratio
from attnbench.sweep import Protocol
from tests.fakes import FakeClock

PROTOCOL = Protocol(
    rounds=20, max_seconds=60, least_warmup_s=0.3, most_warmup_s=5, min_sample_s=0.005, seed=0
)


def test_a_sample_is_the_time_of_one_call():
    clock = FakeClock()
    assert sample(clock.work(0.5), 4, clock) == 0.5


def test_a_sample_holds_as_many_calls_as_make_it_long_enough():
    assert calls_per_sample(0.002, PROTOCOL) == 3
    assert calls_per_sample(0.7, PROTOCOL) == 1


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


def test_every_round_times_every_member_once():
    clock = FakeClock()
    members = [Member(clock.work(1), 1), Member(clock.work(2), 1), Member(clock.work(3), 1)]
    turns = list(rounds(members, clock, clock, replace(PROTOCOL, rounds=4), deadline=1e9, now=clock))
    assert [turn.round for turn in turns] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    for number in range(4):
        mine = [turn for turn in turns if turn.round == number]
        assert sorted(turn.member for turn in mine) == [0, 1, 2]
        assert [turn.position for turn in mine] == [0, 1, 2]
        assert all(turn.seconds == turn.member + 1 for turn in mine)


def test_the_order_inside_rounds_is_random_and_fixed_by_the_seed():
    def orders(seed: int) -> list[int]:
        clock = FakeClock()
        members = [Member(clock.work(1), 1)] * 6
        turns = rounds(members, clock, clock, replace(PROTOCOL, seed=seed), deadline=1e9, now=clock)
        return [turn.member for turn in turns]

    first_round, second_round = orders(0)[:6], orders(0)[6:12]
    assert first_round != second_round
    assert orders(0) == orders(0)
    assert orders(0) != orders(1)


def test_no_round_begins_that_would_pass_the_deadline():
    clock = FakeClock()
    turns = list(rounds([Member(clock.work(1), 10)], clock, clock, PROTOCOL, deadline=35, now=clock))
    assert len(turns) == 3
    assert clock.now == 30


def test_one_round_is_timed_even_past_the_deadline():
    clock = FakeClock()
    turns = list(rounds([Member(clock.work(100), 1)], clock, clock, PROTOCOL, deadline=1, now=clock))
    assert len(turns) == 1


def test_a_block_without_members_has_no_rounds():
    clock = FakeClock()
    assert list(rounds([], clock, clock, PROTOCOL, deadline=1, now=clock)) == []


def test_a_witness_of_its_own_times_the_same_calls_again():
    device, host = FakeClock(), FakeClock()

    def call() -> None:
        device.now += 2
        host.now += 3

    (turn,) = rounds([Member(call, 5)], device, host, replace(PROTOCOL, rounds=1), deadline=1e9, now=host)
    assert (turn.seconds, turn.wall_s) == (2, 3)


def test_the_collector_rests_inside_a_round_and_works_after_it():
    states = []
    clock = FakeClock()
    list(rounds([Member(lambda: states.append(gc.isenabled()), 1)], clock, clock, PROTOCOL, 1e9, clock))
    assert not any(states)
    assert gc.isenabled()


def test_drift_of_the_machine_cancels_in_pairs():
    clock = FakeClock()

    def call() -> None:
        clock.now += 0.01 * (1 + 0.3 * clock.now / 0.69)  # 30 % slower at the end of 60 calls

    turns = list(
        rounds([Member(call, 1), Member(call, 1)], clock, clock, replace(PROTOCOL, rounds=30), 1e9, clock)
    )
    first, second = ([turn.seconds for turn in turns if turn.member == member] for member in (0, 1))
    in_time_order = [turn.seconds for turn in turns]

    assert abs(paired_ratio(first, second, [0] * 30).value - 1) < 0.02
    assert np.median(in_time_order[30:]) / np.median(in_time_order[:30]) > 1.08
