"""Distributions in plain Python have scipy's numbers."""

import math

import numpy as np
import pytest
from scipy import special, stats

from attnbench.statistics.distributions import (
    digamma,
    rank_test,
    sign_test,
    student_t,
    student_t_quantile,
    tetragamma,
    trigamma,
)

FREEDOMS = [0.7, 1.0, 2.0, 2.6, 5.0, 13.3, 60.0, 500.0, math.inf]


def near(value: object) -> object:
    return pytest.approx(value, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("number", [1, 5, 30, 301])
def test_a_sign_test_counts_tosses(number: int):
    for fewer in {0, number // 3, number // 2}:
        assert sign_test(fewer, number) == near(special.bdtr(fewer, number, 0.5))


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_students_t_has_its_tails(freedom: float):
    for t in (-40.0, -7.5, -2.0, -0.3, 0.0, 0.3, 2.0, 7.5):
        expected = special.stdtr(freedom, t) if math.isfinite(freedom) else special.ndtr(t)
        assert student_t(freedom, t) == near(expected)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_a_quantile_has_its_chance(freedom: float):
    expected = special.stdtrit(freedom, 0.95) if math.isfinite(freedom) else special.ndtri(0.95)
    assert student_t_quantile(freedom, 0.95) == near(expected)


@pytest.mark.parametrize("x", [1e-3, 0.3, 0.5, 1.0, 2.25, 11.99, 12.0, 250.0])
def test_derivatives_of_gamma(x: float):
    assert digamma(x) == pytest.approx(special.digamma(x), rel=1e-12, abs=1e-14)
    assert trigamma(x) == near(special.polygamma(1, x))
    assert tetragamma(x) == near(special.polygamma(2, x))


@pytest.mark.parametrize(("n", "m"), [(5, 5), (8, 30), (30, 8), (9, 9), (30, 41)])
@pytest.mark.parametrize("digits", [1, 9])
def test_ranks_of_two_samples(n: int, m: int, digits: int):
    random = np.random.default_rng(n + m)
    for shift in (0.0, 0.3, 2.0):
        ones, others = random.normal(size=n).round(digits), random.normal(shift, size=m).round(digits)
        assert rank_test(ones, others) == near(stats.mannwhitneyu(ones, others).pvalue)


def test_ranks_of_equal_values_say_nothing():
    assert rank_test([1.0] * 9, [1.0] * 9) == 1.0
