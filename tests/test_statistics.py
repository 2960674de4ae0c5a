"""From samples to numbers."""

import numpy as np
import pytest

from attnbench.statistics import LEAST_ROUNDS, Estimate, median_with_interval, paired_ratio, rank_correlation


def test_a_level_is_the_median_with_an_interval_around_it():
    values = [1.0, 2.0, 3.0, 4.0, 100.0]
    estimate = median_with_interval(values, [0] * 5)
    assert estimate.value == 3.0
    assert estimate.low is not None
    assert estimate.high is not None
    assert 1.0 <= estimate.low < 3.0 < estimate.high <= 100.0


def test_too_few_rounds_have_no_interval():
    assert median_with_interval([1.0] * (LEAST_ROUNDS - 1), [0] * (LEAST_ROUNDS - 1)) == Estimate(1.0)
    assert median_with_interval([1.0] * LEAST_ROUNDS, [0] * LEAST_ROUNDS) == Estimate(1.0, 1.0, 1.0)


def test_rounds_are_resampled_inside_their_sessions():
    values, sessions = [1.0, 1.0, 1.0, 3.0, 3.0, 3.0], [0, 0, 0, 1, 1, 1]
    assert median_with_interval(values, sessions) == Estimate(2.0, 2.0, 2.0)


def test_the_interval_is_the_same_each_time():
    values = np.random.default_rng(0).normal(10, 1, 30).tolist()
    assert median_with_interval(values, [0] * 30) == median_with_interval(values, [0] * 30)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        estimate = median_with_interval(random.lognormal(0, 0.2, 30).tolist(), [0] * 30)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 1.0 <= estimate.high
    assert 0.91 <= covered / 300 <= 0.99


def test_a_ratio_is_paired_by_round():
    machine = np.array([1.0, 5.0, 2.0, 9.0, 1.5, 3.0])  # whatever slows a round slows both of its members
    ratio = paired_ratio((2 * machine).tolist(), machine.tolist(), [0] * 6)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2.0, 2.0, 2.0))


def test_ten_percent_of_wild_samples_hardly_move_a_ratio():
    random = np.random.default_rng(0)
    ours, theirs = random.normal(1, 0.01, 100), random.normal(2, 0.02, 100)
    ours[::10] *= 5
    assert paired_ratio(theirs.tolist(), ours.tolist(), [0] * 100).value == pytest.approx(2.0, rel=0.01)


def test_rank_correlation_is_one_for_the_same_order_and_minus_one_for_the_opposite():
    assert rank_correlation([1, 2, 3], [10, 20, 99]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3], [9, 5, 1]) == pytest.approx(-1.0)
