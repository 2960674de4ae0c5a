"""From samples to numbers, and from numbers to verdicts, on simulated machines too."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import special, stats

from attnbench.measuring.attendance import Checks
from attnbench.statistics import (
    LEAST_ROUNDS,
    Comparison,
    Estimate,
    Scatter,
    Verdict,
    between_quartiles,
    bootstrap,
    compare_apart,
    compare_pairs,
    comparison,
    estimate,
    median_with_interval,
    noise_floor,
    paired_ratio,
    rank_correlation,
    ratios_of_pairs,
    scatter,
    session_ratios,
    session_scatter,
    session_spread,
    settling_rounds,
    verdicts,
)
from tests.fakes import exactly

SESSIONS = np.repeat([0, 1, 2], 10)
CLEAR = Comparison(Estimate(1.2, 1.15, 1.25), 1e-6, (1.2, 1.18, 1.22))
SLOWER = Comparison(Estimate(0.8, 0.75, 0.85), 1e-6, (0.8, 0.78, 0.82))
SAID = {Verdict.faster, Verdict.slower}


def verdict(comparison: Comparison, floor: float = 0.0) -> Verdict:
    (only,) = verdicts([comparison], [floor])
    return only


def noisy_machine(random: Generator, members: int) -> NDArray[np.float64]:
    """Seconds `[members, rounds]` of equal members on a machine whose speed wanders and jumps.

    The noise is a function of time: each sample of a round meets it at a moment of its own, in random order.
    """
    moments = members * len(SESSIONS)
    wandering = np.zeros(moments)
    for moment in range(1, moments):
        wandering[moment] = 0.95 * wandering[moment - 1] + random.normal(0, 0.02)
    jumps = np.cumsum((random.random(moments) < 0.02) * random.normal(0, 0.1, moments))
    in_time = (wandering + jumps + random.normal(0, 0.01, moments)).reshape(-1, members)
    return np.exp(random.permuted(in_time, axis=1).T)


def judged_against_the_first(
    times: NDArray[np.float64], sessions: NDArray[np.int_] = SESSIONS
) -> tuple[list[Comparison], list[float]]:
    """What is needed for the verdicts on a block whose last member is the twin of the first."""
    floor = noise_floor(compare_pairs(times[0], times[-1], sessions).ratio) or 0.0
    comparisons = [compare_pairs(times[0], member, sessions) for member in times[1:-1]]
    return comparisons, [floor] * len(comparisons)


def said_of_block(random: Generator, sessions: int, offset: float, effect: float = 1.0) -> list[Verdict]:
    """The verdicts on twelve members that are faster than the first by `effect`, of eight rounds a session.

    Each session makes each member slower or faster by `offset`; the last member is the twin of the first.
    """
    numbers = np.repeat(range(sessions), 8)
    logarithms = random.normal(0, 0.05, (14, len(numbers)))
    logarithms += random.normal(0, offset, (14, sessions))[:, numbers]
    times = np.exp(logarithms)
    times[1:-1] /= effect
    ratios = [list(session_ratios(times[0], member, numbers).values()) for member in times[1:]]
    reference, scatters = session_scatter(np.array(ratios)) if sessions > 1 else (None, [None] * 13)
    twin, *others = (
        compare_pairs(times[0], member, numbers, reference + scatter if reference and scatter else None)
        for member, scatter in zip((times[-1], *times[1:-1]), (scatters[-1], *scatters[:-1]), strict=True)
    )
    return verdicts(others, [noise_floor(twin.ratio) or 0.0] * 12)


# Levels and ratios


def test_a_level_is_the_median_with_an_interval_around_it():
    assert median_with_interval([1.0, 2.0, 3.0, 4.0, 100.0], [0] * 5) == Estimate(3.0, 1.0, 100.0)
    # Of 17 values a resample's median is the fifth or less in 3.6 %, the fourth or less in 0.8 % of cases.
    assert median_with_interval(range(17), [0] * 17) == Estimate(8.0, 4.0, 12.0)


def test_too_few_rounds_have_no_interval():
    assert median_with_interval([1.0] * (LEAST_ROUNDS - 1), [0] * (LEAST_ROUNDS - 1)) == Estimate(1.0)
    assert median_with_interval([1.0] * LEAST_ROUNDS, [0] * LEAST_ROUNDS) == Estimate(1.0, 1.0, 1.0)


def test_rounds_are_resampled_inside_their_sessions():
    values, sessions = [1.0, 1.0, 1.0, 3.0, 3.0, 3.0], [0, 0, 0, 1, 1, 1]
    assert median_with_interval(values, sessions) == Estimate(2.0, 2.0, 2.0)


def test_the_interval_is_the_same_each_time():
    values = np.random.default_rng(0).normal(10, 1, 30)
    assert median_with_interval(values, [0] * 30) == median_with_interval(values, [0] * 30)


def test_a_value_is_within_a_precision_that_half_its_interval_does_not_pass():
    assert Estimate(2.0, 1.96, 2.04).within(0.0201)
    assert not Estimate(2.0, 1.96, 2.04).within(0.0199)
    assert not Estimate(2.0).within(0.5)


def test_a_ratio_is_paired_by_round():
    machine = np.array([1.0, 5.0, 2.0, 9.0, 1.5, 3.0])  # whatever slows a round slows both of its members
    ratio = paired_ratio(2 * machine, machine, [0] * 6)
    assert ratio == exactly(2.0)
    assert compare_pairs(2 * machine, machine, [0] * 6).ratio == ratio


def test_a_ratio_turned_round_is_one_over_it():
    ours, theirs = np.random.default_rng(0).lognormal(0, 0.2, (2, 10))
    assert paired_ratio(ours, theirs, [0] * 10).value == pytest.approx(
        1 / paired_ratio(theirs, ours, [0] * 10).value
    )


def test_where_a_round_has_several_samples_every_pair_of_it_counts():
    base = np.array([[1.0, 2.0, 4.0], [1.0, 1.0, 1.0]])
    assert ratios_of_pairs(base, [2.0, 4.0]).tolist() == [[0.5, 1.0, 2.0], [0.25, 0.25, 0.25]]
    assert ratios_of_pairs([2.0, 4.0], base).tolist() == [[2.0, 1.0, 0.5], [4.0, 4.0, 4.0]]
    assert paired_ratio(base, [2.0, 4.0], [0, 0]).value == pytest.approx((0.25 * 0.5) ** 0.5)


def test_the_sign_test_counts_rounds_and_not_their_samples():
    fast, slow = [3.0, 3.0, 3.0], [0.5, 0.5, 2.0]
    rounds = np.array([fast] * 8 + [slow] * 2)
    assert compare_pairs(rounds, [1.0] * 10, [0] * 10).p_value == pytest.approx(2 * 56 / 2**10)


def test_more_samples_of_the_baseline_narrow_a_ratio_as_much_as_they_make_it_surer():
    random = np.random.default_rng(0)
    found: dict[int, list[Estimate]] = {1: [], 3: []}
    for count, estimates in found.items():
        for _ in range(120):
            machine = random.normal(0, 0.14, (36, 1))
            base, member = (np.exp(machine + random.normal(0, 0.08, (36, n))) for n in (count, 1))
            estimates.append(paired_ratio(base, member[:, 0], [0] * 12 + [1] * 12 + [2] * 12))
    one, three = (
        [np.mean([e.half_width for e in each]), np.std([e.value for e in each])] for each in found.values()
    )
    assert three[0] < 0.85 * one[0]
    assert three[1] < 0.85 * one[1]
    assert np.mean([e.low <= 1 <= e.high for e in found[3] if e.low and e.high]) > 0.88


def test_ten_percent_of_wild_samples_hardly_move_a_median_and_none_is_dropped():
    ours, theirs = np.random.default_rng(0).normal([[1.0], [2.0]], [[0.01], [0.02]], (2, 100))
    wild = ours * np.where(np.arange(100) % 10, 1, 5)
    level, ratio = median_with_interval(wild, [0] * 100), paired_ratio(theirs, wild, [0] * 100)
    assert level.value == np.median(wild) == pytest.approx(np.median(ours), rel=0.01)
    assert ratio.value == pytest.approx(paired_ratio(theirs, ours, [0] * 100).value, rel=0.01)


def test_each_session_that_is_long_enough_has_a_ratio_of_its_own():
    theirs, sessions = [1.0] * 5 + [2.0] * 5 + [9.0] * 4, [4] * 5 + [7] * 5 + [8] * 4
    assert compare_pairs(theirs, [1.0] * 14, sessions).by_session == pytest.approx((1.0, 2.0))


def test_sessions_are_as_far_apart_as_their_medians():
    values = [5.0, 5.0, 5.0, 5.0, 9.0, 6.0, 6.0, 6.0, 6.0, 6.0]
    assert session_spread(values, [0] * 5 + [1] * 5) == pytest.approx(0.2)
    assert session_spread(values, [0] * 10) is None


def test_quartiles_stand_around_what_they_are_told_is_in_the_middle():
    assert between_quartiles(49.0, range(101)) == Estimate(49.0, 25.0, 75.0)
    assert between_quartiles(2.0, [1.0, 2.0, 3.0]) == Estimate(2.0)


def test_rank_correlation_is_one_for_the_same_order_and_minus_one_for_the_opposite():
    assert rank_correlation([1, 2, 3], [10, 20, 99]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3], [9, 5, 1]) == pytest.approx(-1.0)


def test_rank_correlation_is_scipys_with_ties_too():
    for drawn in np.random.default_rng(0).integers(0, 6, (50, 2, 9)):
        expected = stats.kendalltau(*drawn).statistic
        assert rank_correlation(*drawn) == pytest.approx(expected, rel=1e-12, abs=1e-12), drawn


def test_where_everything_is_level_there_is_no_rank_correlation():
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))
    assert math.isnan(rank_correlation([1, 2, 3], [1, 1, 1]))


# Stopping


@pytest.mark.slow
def test_the_interval_covers_the_truth_although_rounds_are_added_until_it_is_narrow(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 500)
    random = np.random.default_rng(1)
    covered = []
    for _ in range(150):
        checks, times = Checks(5), random.normal(1, 0.2, 2000)
        stop = next(
            count
            for count in range(1, 2000)
            if checks.due(count) and median_with_interval(times[:count], [0] * count).within(0.02)
        )
        level = median_with_interval(times[:stop], [0] * stop)
        covered.append((level.low or 1) <= 1 <= (level.high or 1))
    assert np.mean(covered) >= 0.9  # 93.6 % of 1,100 simulations; so few scatter around that


@pytest.mark.parametrize(("slow", "left_out"), [(0, 0), (1, 1), (3, 3), (5, 5), (7, 0)])
def test_first_rounds_that_are_slower_than_all_later_ones_are_left_out(slow: int, left_out: int):
    times = np.random.default_rng(0).normal(1, 0.01, (20, 3)) * [1.0, 2.0, 3.0]
    times[:slow] *= 1.2
    assert settling_rounds([dict(enumerate(each)) for each in times]) == left_out


def test_a_member_alone_that_begins_slowly_leaves_no_round_out():
    times = np.random.default_rng(0).normal(1, 0.01, (20, 3))
    times[0, 0] = 9
    assert settling_rounds([dict(enumerate(each)) for each in times]) == 0


def test_rounds_with_some_members_only_tell_too_whether_the_machine_had_settled():
    times = np.random.default_rng(0).normal(1, 0.01, (20, 3)) * [1.0, 2.0, 30.0]
    times[:2] *= 1.2
    rounds = [
        {member: each[member] for member in (0, 1, 2)[number % 2 :]} for number, each in enumerate(times)
    ]
    assert settling_rounds(rounds) == 2


def test_equal_rounds_are_hardly_ever_left_out_and_few_rounds_never():
    random = np.random.default_rng(0)
    drawn = [settling_rounds([{0: each} for each in random.lognormal(0, 0.1, 20)]) for _ in range(500)]
    assert np.count_nonzero(drawn) < 15
    assert settling_rounds([{0: 9.0}, *[{0: 1.0}] * 18]) == 0
    assert settling_rounds([{0: 9.0}, *[{0: 1.0}] * 19]) == 1


# One verdict


def test_there_are_four_verdicts():
    assert verdict(CLEAR) is Verdict.faster
    assert verdict(SLOWER) is Verdict.slower
    assert verdict(Comparison(Estimate(1.01, 0.98, 1.02), 0.3, (1.0, 1.02, 1.01))) is Verdict.same
    assert verdict(Comparison(Estimate(1.05, 0.95, 1.15), 0.3, (1.0, 1.1, 1.05))) is Verdict.unclear
    assert verdicts([], []) == []


def test_speeds_within_three_percent_are_the_same_however_significant():
    near = replace(CLEAR, ratio=Estimate(1.025, 1.02, 1.029), by_session=(1.025,))
    assert verdict(near) is Verdict.same
    assert verdict(replace(near, ratio=Estimate(1.025, 1.02, 1.031))) is Verdict.faster
    below = replace(near, by_session=(1 / 1.025,))
    assert verdict(replace(below, ratio=Estimate(1 / 1.025, 1 / 1.029, 1 / 1.02))) is Verdict.same
    assert verdict(replace(below, ratio=Estimate(1 / 1.025, 1 / 1.031, 1 / 1.02))) is Verdict.slower


@pytest.mark.parametrize(
    "lacking",
    [
        {"ratio": Estimate(1.2)},
        {"ratio": Estimate(1.2, 0.99, 1.4)},
        {"p_value": 0.051},
    ],
)
def test_faster_asks_for_an_interval_and_significance(lacking: dict[str, Any]):
    assert verdict(CLEAR) is Verdict.faster
    assert verdict(replace(CLEAR, **lacking)) is Verdict.unclear


@pytest.mark.parametrize(
    "lacking",
    [
        {"ratio": Estimate(0.8)},
        {"ratio": Estimate(0.8, 0.6, 1.01)},
        {"p_value": 0.051},
    ],
)
def test_slower_asks_for_an_interval_and_significance(lacking: dict[str, Any]):
    assert verdict(SLOWER) is Verdict.slower
    assert verdict(replace(SLOWER, **lacking)) is Verdict.unclear


def test_the_same_asks_for_every_session_or_for_their_mean_within_the_margin_too():
    near = Comparison(Estimate(1.01, 0.98, 1.02), 0.3, (0.95, 1.02), Estimate(1.01, 0.99, 1.029))
    assert verdict(near) is Verdict.same
    for low, high in ((0.99, 1.031), (0.96, 1.02)):
        assert verdict(replace(near, between=Estimate(1.01, low, high))) is Verdict.unclear
        alike = replace(near, by_session=(0.98, 1.02), between=Estimate(1.01, low, high))
        assert verdict(alike) is Verdict.same


def test_an_effect_below_the_noise_floor_is_no_verdict():
    assert [verdict(CLEAR, floor) for floor in (0.19, 0.21)] == [Verdict.faster, Verdict.unclear]
    assert [verdict(SLOWER, floor) for floor in (0.24, 0.26)] == [Verdict.slower, Verdict.unclear]


def test_the_margin_is_as_wide_for_the_slower_of_two_as_for_the_faster():
    near = Comparison(Estimate(0.9705, 0.9704, 0.9706), 1e-6, (0.9705,))  # the other is 1.0304 times as fast
    assert verdict(near) is Verdict.slower


def test_the_noise_floor_is_the_far_end_of_the_twins_interval():
    assert noise_floor(Estimate(1.0, 0.99, 1.03)) == pytest.approx(0.03)
    assert noise_floor(Estimate(1.0, 0.95, 1.03)) == pytest.approx(1 / 0.95 - 1)
    assert noise_floor(Estimate(1.0)) is None


def test_a_verdict_that_would_stand_alone_may_not_stand_among_many():
    borderline = replace(CLEAR, p_value=0.04)
    chance = replace(CLEAR, p_value=0.9)
    assert verdict(borderline) is Verdict.faster
    assert verdicts([borderline, *[chance] * 9], [0.0] * 10)[0] is Verdict.unclear
    assert verdicts([CLEAR, *[chance] * 9], [0.0] * 10)[0] is Verdict.faster


@pytest.mark.parametrize(
    "p_values", [(0.2, 0.001, 0.04, 0.04, 0.03, 0.9, 0.002), (0.9, 0.001, 0.026, 0.03, 0.027, 0.002)]
)
def test_verdicts_are_corrected_as_scipy_does(p_values: tuple[float, ...]):
    said = verdicts([replace(CLEAR, p_value=p_value) for p_value in p_values], [0.0] * len(p_values))
    significant = stats.false_discovery_control(p_values) < 0.05
    assert [each is Verdict.faster for each in said] == [*significant]


def test_p_values_are_corrected_as_scipy_does():
    for p_values in np.random.default_rng(0).random((50, 9)).round(1):  # rounded, some are equal
        np.testing.assert_allclose(
            comparison._corrected(p_values), stats.false_discovery_control(p_values), rtol=1e-12
        )


def test_four_rounds_are_no_ground_for_a_verdict():
    assert verdict(compare_pairs([2.0] * 4, [1.0] * 4, [0] * 4)) is Verdict.unclear
    assert verdict(compare_pairs([2.0] * 9, [1.0] * 9, [0] * 9)) is Verdict.faster


def test_fewer_rounds_move_a_verdict_only_towards_unclear():
    random = np.random.default_rng(0)
    for effect, said in ((1.5, Verdict.faster), (1 / 1.5, Verdict.slower), (1.0, Verdict.same)):
        theirs, ours = random.lognormal(0, 0.02, (2, 60))
        counts = (60, 30, 15, 9, 6, 5, 4, 1)
        found = [verdict(compare_pairs(effect * theirs[:n], ours[:n], [0] * n)) for n in counts]
        assert found[0] is said
        assert set(found) == {said, Verdict.unclear}
        assert found == sorted(found, key=lambda each: each is Verdict.unclear)


@pytest.mark.parametrize("rounds", [1, 2, 5, 8, 30, 1000])
def test_over_rounds_of_one_session_the_p_value_is_the_binomial_tests(rounds: int):
    ratios = np.random.default_rng(rounds).lognormal(0.2, 0.5, rounds)
    expected = stats.binomtest(int((ratios > 1).sum()), rounds).pvalue
    found = compare_pairs(ratios, np.ones(rounds), [0] * rounds).p_value
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sessions", [2, 3, 5])
def test_over_sessions_that_scatter_the_p_value_is_the_t_tests(sessions: int):
    logarithms = np.random.default_rng(sessions).normal(0.5, 0.1, sessions)
    ratios, numbers = (np.repeat(each, LEAST_ROUNDS) for each in (np.exp(logarithms), range(sessions)))
    expected = stats.ttest_1samp(logarithms, 0).pvalue
    found = compare_pairs(ratios, np.ones(len(ratios)), numbers).p_value
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_session_that_stands_alone_gives_no_verdict():
    ours, theirs = np.random.default_rng(0).lognormal(0, 0.002, (2, 30))
    ours *= np.where(SESSIONS == 1, 1.1, 1.0)
    assert verdict(compare_pairs(theirs, ours, SESSIONS)) is Verdict.unclear


def test_sessions_that_agree_give_a_verdict():
    ours, theirs = np.random.default_rng(0).lognormal(0, 0.002, (2, 30))
    assert verdict(compare_pairs(theirs, 1.1 * ours, SESSIONS)) is Verdict.slower


def test_drift_that_all_members_share_gives_no_verdict():
    drift = np.linspace(1, 2, 30)
    ours, theirs = drift * np.random.default_rng(0).lognormal(0, 0.002, (2, 30))
    assert verdict(compare_pairs(theirs, ours, SESSIONS)) is Verdict.same


def test_rounds_that_say_neither_count_for_neither():
    assert compare_pairs([1.0] * 6, [1.0] * 6, [0] * 6).p_value == 1.0
    assert compare_pairs([2.0] * 6 + [1.0] * 6, [1.0] * 12, [0] * 12).p_value == pytest.approx(2 / 2**6)


# Many verdicts


def test_equal_members_of_a_wandering_machine_are_hardly_ever_told_apart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 200)
    random = np.random.default_rng(0)
    blocks = [judged_against_the_first(noisy_machine(random, members=5)) for _ in range(200)]
    wrong = [bool(SAID & set(verdicts(*block))) for block in blocks]
    assert np.mean(wrong) <= 0.05


def test_a_command_with_seventy_equal_pairs_hardly_ever_has_a_false_verdict(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 100)
    random = np.random.default_rng(0)
    wrong = []
    for _ in range(40):
        found = [judged_against_the_first(times) for times in random.lognormal(0, 0.05, (5, 16, 30))]
        comparisons = [comparison for block, _ in found for comparison in block]
        floors = [floor for _, block in found for floor in block]
        wrong.append(bool(SAID & set(verdicts(comparisons, floors))))
    assert np.mean(wrong) <= 0.05


# Sessions


def test_a_session_apart_in_all_members_is_the_references_doing_and_in_one_its_own():
    shifts = np.array([-0.1, 0.0, 0.1])
    small = np.random.default_rng(0).normal(0, 0.01, (8, 3))
    reference, members = session_scatter(small + shifts)
    assert reference.variance > 0.005 > 0.001 > max(member.variance for member in members)
    apart = small.copy()
    apart[2] += shifts
    reference, members = session_scatter(apart)
    assert reference.variance < 0.001
    assert max(members, key=lambda each: each.variance) is members[2]


def test_members_that_scatter_alike_share_their_variance_and_freedom():
    ratios = np.array([[0.0, 0.3], [0.1, 0.2], [0.0, 0.1], [0.0, 0.25]])
    residuals = ratios - ratios.mean(axis=1, keepdims=True) - ratios.mean(axis=0) + ratios.mean()
    variances = (residuals**2).sum(axis=1) / (3 / 4)
    shared = ((ratios - ratios.mean(axis=1, keepdims=True)).mean(axis=0) ** 2).sum() - variances.mean() / 4
    logarithms = np.log([shared, *variances]) - special.digamma([1 / 2, *[3 / 8] * 4])
    usual = math.exp((logarithms + np.log([1 / 2, *[3 / 8] * 4])).mean())
    reference, members = session_scatter(ratios)
    assert {*members, reference} == {Scatter(reference.variance, 4.0)}
    assert reference.variance == pytest.approx(usual)


def test_variances_of_members_that_scatter_unlike_are_shrunk_towards_each_other():
    drawn = np.random.default_rng(0).normal(0, 0.02, (10, 4)) * np.geomspace(0.1, 3, 10)[:, None]
    _, members = session_scatter(drawn)
    shrunk = np.array([member.variance for member in members])
    residuals = drawn - drawn.mean(axis=1, keepdims=True) - drawn.mean(axis=0) + drawn.mean()
    own = (residuals**2).sum(axis=1) / (3 * 9 / 10)
    assert (np.argsort(shrunk) == np.argsort(own)).all()
    assert 1 < shrunk.max() / shrunk.min() < own.max() / own.min()
    assert members[0].freedom > 3


def test_a_reference_that_tells_of_no_scatter_has_the_usual_one_by_its_weight():
    ratios = np.outer([0.1, -0.1, 1e-3, -1e-3], [1.0, -1.0])
    usual, weight = scatter._prior((ratios**2).sum(axis=1) / (3 / 4), np.full(4, 3 / 4))
    reference, _ = session_scatter(ratios)
    assert reference.variance == pytest.approx(weight * usual / (weight + 1))


def test_one_variance_that_is_not_nought_is_what_all_have_in_common():
    usual, weight = scatter._prior(np.array([0.0, 0.5]), np.full(2, 3.0))
    assert usual == pytest.approx(0.5 * 1.5 / math.exp(special.digamma(1.5)))
    assert math.isinf(weight)


def test_the_prior_is_found_again_in_many_variances_drawn_from_it():
    random, freedom, weight, usual = np.random.default_rng(0), 4.0, 6.0, 0.5
    truths = usual * weight / random.chisquare(weight, 20_000)
    found, counts = scatter._prior(
        truths * random.chisquare(freedom, 20_000) / freedom, np.full(20_000, freedom)
    )
    assert found == pytest.approx(usual, rel=0.05)
    assert counts == pytest.approx(weight, rel=0.1)


def test_the_prior_has_the_mean_and_the_spread_of_few_logarithms():
    freedoms = np.full(3, 3.0)
    usual, weight = scatter._prior(np.array([0.1, 1.0, 20.0]), freedoms)
    logarithms = np.log([0.1, 1.0, 20.0]) - special.digamma(1.5) + math.log(1.5)
    assert special.polygamma(1, weight / 2) == pytest.approx(
        logarithms.var(ddof=1) - special.polygamma(1, 1.5)
    )
    mean = math.log(usual) - special.digamma(weight / 2) + math.log(weight / 2)
    assert mean == pytest.approx(logarithms.mean())


def test_of_a_single_member_the_sessions_alone_tell_the_scatter():
    drawn = np.random.default_rng(0).normal(0.1, 0.1, (1, 4))
    reference, (member,) = session_scatter(drawn)
    assert reference == member
    both = reference + member
    assert both.variance == pytest.approx(float(drawn.var(ddof=1)))
    assert both.freedom == 3


def test_sessions_that_do_not_scatter_have_nothing_to_say():
    reference, members = session_scatter(np.zeros((3, 2)))
    assert {reference.variance, *(member.variance for member in members)} == {0.0}
    ratios, sessions = [2.0] * 10, [0] * 5 + [1] * 5
    compared = compare_pairs(ratios, [1.0] * 10, sessions, reference + members[0])
    assert compared.p_value == pytest.approx(2 / 2**10)
    assert compared.between == exactly(2.0)


def test_the_test_over_sessions_has_the_scatter_of_the_block():
    ratios, sessions = np.exp(np.repeat([0.1, 0.3], LEAST_ROUNDS)), np.repeat([0, 1], LEAST_ROUNDS)
    compared = compare_pairs(ratios, np.ones(10), sessions, Scatter(0.02, 26))
    t = stats.t(26, loc=0.2, scale=0.1)
    assert compared.p_value == pytest.approx(2 * stats.t(26).sf(2.0))
    low, high = np.exp(t.interval(0.9))
    assert compared.between
    assert compared.between.low == pytest.approx(low)
    assert compared.between.high == pytest.approx(high)


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0.03, 0.1])
@pytest.mark.parametrize("sessions", [2, 3, 8])
def test_equal_members_that_sessions_treat_unequally_are_hardly_ever_told_apart(
    monkeypatch: pytest.MonkeyPatch, sessions: int, offset: float
):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 100)
    random = np.random.default_rng(sessions)
    wrong = [bool(SAID & set(said_of_block(random, sessions, offset))) for _ in range(200)]
    assert np.mean(wrong) <= 0.05


def test_more_sessions_never_cost_verdicts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 100)
    random = np.random.default_rng(0)
    power = [
        np.mean(
            [np.mean([each in SAID for each in said_of_block(random, count, 0.01, 1.07)]) for _ in range(40)]
        )
        for count in range(1, 9)
    ]
    assert np.diff(power).min() > -0.05  # by chance; sessions that had to agree each for itself cost 0.3
    assert power[-1] > 0.95 > 0.6 > power[0]


# Two runs


def test_medians_measured_apart_are_compared_by_their_ratio():
    before, after = np.random.default_rng(0).lognormal(0, 0.01, (2, 30))
    found = compare_apart((2 * after, SESSIONS), (before, SESSIONS))
    assert found.ratio.value == pytest.approx(2.0, rel=0.01)
    assert (found.ratio.low or 9) < found.ratio.value < (found.ratio.high or 0)
    assert verdict(found) is Verdict.faster
    assert verdict(compare_apart((before, SESSIONS), (2 * after, SESSIONS))) is Verdict.slower


def test_runs_whose_sessions_overlap_give_no_verdict():
    noise = np.random.default_rng(0).lognormal(0, 0.001, (2, 30))
    before = noise[0] * np.array([1.0, 1.1, 1.2])[SESSIONS]
    after = noise[1] * np.array([1.15, 1.25, 1.3])[SESSIONS]
    assert verdict(compare_apart((after, SESSIONS), (before, SESSIONS))) is Verdict.unclear
    assert verdict(compare_apart((1.1 * after, SESSIONS), (before, SESSIONS))) is Verdict.faster


def test_every_session_of_one_run_is_set_beside_every_session_of_the_other():
    sessions = [0] * 5 + [1] * 5
    found = compare_apart(([2.0] * 5 + [4.0] * 5, sessions), ([1.0] * 5 + [0.5] * 5, sessions))
    assert sorted(found.by_session) == pytest.approx([2.0, 4.0, 4.0, 8.0])
    assert found.between is not None
    assert [found.between.value, found.between.low, found.between.high] == pytest.approx([4.0, 2.0, 8.0])


def test_runs_are_ranked_by_their_rounds_and_not_by_the_samples_in_those():
    slow, fast = (np.linspace(first, first + 0.1, 15).reshape(5, 3) for first in (1.0, 2.0))
    assert compare_apart((fast, [0] * 5), (slow, [0] * 5)).p_value == pytest.approx(2 / math.comb(10, 5))


def test_runs_of_too_few_rounds_give_no_interval():
    few, many = ([1.0] * 4, [0] * 4), ([2.0] * 30, SESSIONS)
    assert compare_apart(many, few).ratio.low is compare_apart(few, many).ratio.low is None
    assert compare_apart(many, few).ratio.value == pytest.approx(2.0)


def test_sessions_of_one_run_that_do_not_scatter_leave_the_others_to_tell():
    still, wild = [0.0, 0.0], [0.5, 1.5]
    runs = [(np.exp(np.repeat(each, 5)), np.repeat([0, 1], 5)) for each in (wild, still)]
    assert compare_apart(*runs).p_value == pytest.approx(stats.ttest_ind(wild, still, equal_var=False).pvalue)


@pytest.mark.parametrize("sessions", [(2, 2), (3, 5), (6, 2)])
def test_over_sessions_of_two_runs_the_p_value_is_welchs(sessions: tuple[int, int]):
    random = np.random.default_rng(sum(sessions))
    logarithms = [random.normal(mean, 0.1, number) for mean, number in zip((1.0, 0.0), sessions, strict=True)]
    runs = [(np.exp(np.repeat(each, 5)), np.repeat(range(len(each)), 5)) for each in logarithms]
    expected = stats.ttest_ind(*logarithms, equal_var=False).pvalue
    assert compare_apart(*runs).p_value == pytest.approx(expected, rel=1e-12)


def test_the_same_rounds_twice_are_not_resampled_alike():
    values = np.random.default_rng(0).lognormal(0, 0.1, 30)
    ratio = compare_apart((values, SESSIONS), (values, SESSIONS)).ratio
    assert not math.isclose(ratio.low or 1, 1.0)


@pytest.mark.parametrize("count", [2, 7, 1999, 2000])
def test_intervals_end_at_the_percentiles(count: int):
    values = np.random.default_rng(count).lognormal(size=(100, count))
    tail = 50 * (1 - estimate.CONFIDENCE)
    ends = np.percentile(values, [tail, 100 - tail], axis=1)
    assert [estimate.percentile_interval(each) for each in values] == list(zip(*ends, strict=True))


@pytest.mark.parametrize(("rounds", "samples"), [(5, 1), (12, 1), (31, 3), (100, 3), (600, 1)])
def test_a_resample_has_the_median_of_the_rounds_that_it_drew(rounds: int, samples: int):
    values = np.random.default_rng(rounds).normal(size=(rounds, samples)).round(1)
    sessions = np.arange(rounds) % 2
    random = np.random.default_rng(7)
    drawn = [
        random.choice(np.flatnonzero(sessions == number), (bootstrap.RESAMPLES, (sessions == number).sum()))
        for number in (0, 1)
    ]
    expected = np.median(values[np.concatenate(drawn, axis=1)], axis=(1, 2))
    assert bootstrap.resampled_medians(values, sessions, seed=7).tolist() == expected.tolist()


@pytest.mark.parametrize("count", [1, 2, 7, 12])
def test_medians_are_those_of_numpy(count: int):
    values = np.random.default_rng(count).lognormal(size=(20, count))
    assert bootstrap.medians_of_rows(values).tolist() == np.median(values, axis=1).tolist()
    assert bootstrap.median(values) == np.median(values)
    assert math.isnan(bootstrap.median(values[:0]))
