"""Who takes part in a round, and when a session is over."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from attnbench.cases.case import Role, samples_in_round
from attnbench.cases.variant import PLAIN
from attnbench.measuring.attendance import CEILING_EVERY, PRECISE_EVERY, Attendance, Checks, imprecise
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Timed
from attnbench.records.record import Sample
from tests.fakes import changed
from tests.shards import CASES, PROTOCOL, case, job

ONE_SESSION = replace(PROTOCOL, sessions=1)


def state_of(noise: dict[int, float], rounds: int = 40) -> BlockState:
    """A block of MSA, HiLo and MSA's twin, whose times scatter by these shares, and two ceilings."""
    random = np.random.default_rng(0)
    samples = [
        Timed(case, Sample(0, number, 0, seconds, seconds))
        for case, share in noise.items()
        for number, seconds in enumerate(random.lognormal(0, share, rounds).tolist())
    ]
    return BlockState([job(protocol=ONE_SESSION), *samples])


def attending(wanted: list[int]) -> Attendance:
    attendance = Attendance(state_of({}), range(5), least_rounds=3)
    attendance.wanted = wanted
    return attendance


def test_all_members_take_part_in_the_first_rounds():
    assert [attending([]).of(number)[:3] for number in range(3)] == [[0, 1, 2]] * 3


def test_members_that_are_precise_stay_away_and_come_back_now_and_then():
    attendance = attending([])
    assert [1 in attendance.of(number) for number in range(3, 2 * PRECISE_EVERY + 1)] == [
        number % PRECISE_EVERY == 0 for number in range(3, 2 * PRECISE_EVERY + 1)
    ]
    assert 1 in attending([1]).of(3)


def test_the_baseline_and_its_twin_are_always_there():
    assert all({0, 2} <= {*attending([1]).of(number)} for number in range(20))


def test_the_baseline_has_about_the_root_of_as_many_samples_as_others_are_compared_with_it():
    many = [case("msa"), *(case(f"m{number}") for number in range(14)), case("msa", Role.twin), *CASES[3:]]
    attendance = Attendance(BlockState([job(tuple(many))]), range(len(many)), least_rounds=3)
    assert Counter(attendance.of(1)) == {0: 3, **dict.fromkeys(range(1, 16), 1)}
    assert Counter(attendance.of(CEILING_EVERY))[0] == 3
    attendance.wanted = [1, 2, 3, 4]
    assert Counter(attendance.of(9)) == {0: 2, 1: 1, 2: 1, 3: 1, 4: 1, 15: 1}
    attendance.wanted = []
    assert Counter(attendance.of(9)) == {0: 1, 15: 1}


def test_each_variant_has_a_baseline_of_its_own():
    low = changed(PLAIN, dtype="bfloat16")
    ours = [case("msa"), case("hilo"), case("msa", Role.twin)]
    theirs = [case("msa", variant=low), *(case(f"m{number}", variant=low) for number in range(4))]
    assert samples_in_round([*ours, *theirs]) == [1, 1, 1, 2, 1, 1, 1, 1]
    assert samples_in_round([case("msa"), *theirs[1:]]) == [1] * 5


def test_ceilings_come_now_and_then_unless_nothing_else_is_timed():
    with_matmul = [number for number in range(2 * CEILING_EVERY) if 3 in attending([]).of(number)]
    assert with_matmul == [0, CEILING_EVERY]
    alone = Attendance(state_of({}), [3, 4], least_rounds=3)
    assert [alone.of(number) for number in range(9)] == [[0, 1]] * 9


def test_those_are_imprecise_whose_ratio_to_the_baseline_scatters():
    assert imprecise(state_of({0: 0.001, 1: 0.2, 2: 0.001})) == [1]
    assert imprecise(state_of({0: 0.001, 1: 0.001, 2: 0.001})) == []


def test_too_few_rounds_leave_every_ratio_open_and_the_baseline_has_none():
    assert imprecise(state_of({0: 0.001, 1: 0.001, 2: 0.001}, rounds=4)) == [1, 2]


@pytest.mark.parametrize(("share", "asked"), [(0.2, [0, 1, 2]), (0.08, [])])
def test_a_level_that_scatters_is_asked_for_once_all_ratios_are_known(share: float, asked: list[int]):
    told = state_of({})
    drift = np.random.default_rng(0).lognormal(0, share, 40).tolist()
    together = [
        Timed(case, Sample(0, number, 0, seconds, seconds))
        for case in (0, 1, 2)
        for number, seconds in enumerate(drift)
    ]
    assert imprecise(BlockState([*told.facts, *together])) == asked


def test_the_first_of_several_sessions_need_not_be_as_precise_as_all_together():
    alone = state_of({0: 0.001, 1: 0.06, 2: 0.001})
    first = BlockState([job(protocol=PROTOCOL), *alone.facts[1:]])
    assert (imprecise(alone), imprecise(first)) == ([1], [])


def test_a_look_at_the_precision_comes_more_rarely_as_the_rounds_grow():
    checks = Checks(5)
    assert [number for number in range(60) if checks.due(number)] == [5, 10, 15, 20, 25, 32, 40, 50]
