"""Where a paired ratio passes 1 as maps grow, and how well that is known."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.random import Generator

from attnbench.statistics import Crossing, crossings
from tests.fakes import exactly

SESSIONS = np.repeat([0, 1, 2], 8)
SIZES = (7, 14, 28, 56)


def crossings_of(ratios: Sequence[float], noise: float = 0.0, seed: int = 0) -> list[Crossing]:
    """The crossings of ratios whose rounds scatter by this share."""
    random = np.random.default_rng(seed)
    return crossings(SIZES, [(ratio * scatter(random, noise), SESSIONS) for ratio in ratios])


def scatter(random: Generator, noise: float) -> np.ndarray:
    return np.exp(random.normal(0, noise, len(SESSIONS)))


def test_a_crossing_lies_where_the_line_through_logarithms_passes_nought():
    (found,) = crossings_of([1 / 4, 1 / 2, 2, 4])
    assert (found.size, found.rises) == (exactly(np.sqrt(14 * 28)), True)
    (found,) = crossings_of([4, 2, 2 ** (1 / 3), 1 / 2])
    assert (found.size, found.rises) == (exactly(28 * 2 ** (1 / 4)), False)


def test_a_ratio_that_never_passes_one_has_no_crossing_however_near_it_comes():
    assert crossings_of([1.5, 1.2, 1.1, 1.05]) == []
    assert crossings_of([0.5, 0.8, 0.9, 0.95]) == []


def test_a_ratio_may_pass_one_and_come_back():
    there, back = crossings_of([1 / 2, 2, 2, 1 / 2])
    assert (there.size, there.rises) == (exactly(7 * 2 ** (1 / 2)), True)
    assert (back.size, back.rises) == (exactly(28 * 2 ** (1 / 2)), False)


def test_a_side_that_is_not_decided_is_no_crossing():
    undecided = np.tile([0.9, 1.1, 1.05], 8)
    ratios = [(np.full(24, 0.5), SESSIONS), (undecided, SESSIONS)]
    assert np.median(undecided) > 1
    assert crossings([7, 14], ratios) == []
    assert crossings([14, 28], ratios[::-1]) == []


def test_a_side_on_which_one_session_disagrees_is_no_crossing():
    divided = np.where(SESSIONS == 0, 0.95, 1.3)
    assert crossings([7, 14], [(np.full(24, 0.5), SESSIONS), (divided, SESSIONS)]) == []


def test_too_few_rounds_decide_nothing():
    few = [0] * 4
    assert crossings([7, 14], [([0.5] * 4, few), ([2.0] * 4, few)]) == []
    assert len(crossings([7, 14], [([0.5] * 5, [0] * 5), ([2.0] * 5, [0] * 5)])) == 1


def test_between_decided_sizes_an_undecided_one_moves_the_crossing_and_does_not_hide_it():
    undecided = np.tile([0.9, 1.1, 1.05], 8)
    ratios = [(np.full(24, 0.5), SESSIONS), (undecided, SESSIONS), (np.full(24, 2.0), SESSIONS)]
    (found,) = crossings([7, 14, 28], ratios)
    below = np.log(2) / (np.log(2) + np.log(1.05))
    assert found.size.value == pytest.approx(7 * 2**below)
    assert (found.size.low or 0) < 14 < (found.size.high or 0)


def test_of_several_changes_between_decided_sizes_the_last_counts():
    up, down = np.tile([0.9, 1.1, 1.05], 8), np.tile([1.1, 0.9, 0.95], 8)
    ends = (np.full(24, 0.5), SESSIONS), (np.full(24, 2.0), SESSIONS)
    (found,) = crossings(SIZES, [ends[0], (up, SESSIONS), (down, SESSIONS), ends[1]])
    assert found.size.value > 28


def test_an_interval_stays_between_the_sizes_that_decide():
    (found,) = crossings([7, 14], [(np.exp(np.linspace(-2.2, 0.2, 24)), SESSIONS * 0),
                                   (np.exp(np.linspace(-0.2, 2.2, 24)), SESSIONS * 0)])  # fmt: skip
    assert 7 < (found.size.low or 0) < found.size.value < (found.size.high or 0) < 14


def test_noise_widens_the_interval():
    quiet, loud = (crossings_of([1 / 4, 1 / 2, 2, 4], noise)[0].size.half_width for noise in (0.02, 0.2))
    assert 0 < 3 * quiet < loud


def test_the_interval_covers_the_truth():
    truth, slope = 20.0, 0.5
    ratios = [(size / truth) ** slope for size in SIZES]
    found = [crossings_of(ratios, noise=0.1, seed=seed)[0].size for seed in range(60)]
    covered = [(size.low or 0) <= truth <= (size.high or 0) for size in found]
    assert np.mean(covered) >= 0.85
    assert np.median([size.half_width for size in found]) < 0.09


def test_the_interval_is_the_same_each_time():
    assert crossings_of([1 / 4, 1 / 2, 2, 4], 0.1) == crossings_of([1 / 4, 1 / 2, 2, 4], 0.1)
