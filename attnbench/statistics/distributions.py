"""The few functions of distributions that verdicts need, in plain Python.

`scipy` has them all, and takes as long to import as all else that a table needs; tests hold these to it.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

ASYMPTOTIC = 12.0  # from which on the series below have the digits of a float
EXACT_BELOW = 9  # values, of which the smaller sample has fewer where ranks are counted out
TINY = 1e-300


def sign_test(fewer: int, number: int) -> float:
    """The chance of at most `fewer` heads in a `number` of tosses."""
    ways = sum(math.comb(number, heads) for heads in range(fewer + 1))
    return ways / (1 << number)


def student_t(freedom: float, t: float) -> float:
    """The chance that Student's t of so many degrees of freedom is at most `t`."""
    if math.isinf(freedom) or t == 0:
        return math.erfc(-t / math.sqrt(2)) / 2
    tail = _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2
    return tail if t < 0 else 1 - tail


@lru_cache(maxsize=1024)  # the rows of a block have the same degrees of freedom
def student_t_quantile(freedom: float, chance: float) -> float:
    """Where Student's t of so many degrees of freedom has this `chance`, which is above 1/2.

    By Newton's method from where a normal distribution has it: from below, on a concave curve, it only rises.
    """
    t = NormalDist().inv_cdf(chance)
    if math.isinf(freedom):
        return t
    for _ in range(100):
        step = (chance - student_t(freedom, t)) / _student_t_density(freedom, t)
        t += step
        if abs(step) <= 1e-15 * t:
            break
    return t


def digamma(x: float) -> float:
    """The derivative of the logarithm of Γ at a positive number."""
    steps = _steps(x)
    far = x + steps
    series = sum(b / far ** (2 * k) for k, b in enumerate(_OF_DIGAMMA, start=1))
    return math.log(far) - 1 / (2 * far) - series - sum(1 / (x + step) for step in range(steps))


def trigamma(x: float) -> float:
    """The derivative of digamma."""
    steps = _steps(x)
    far = x + steps
    series = sum(b / far ** (2 * k + 1) for k, b in enumerate(_BERNOULLI, start=1))
    return 1 / far + 1 / (2 * far**2) + series + sum(1 / (x + step) ** 2 for step in range(steps))


def tetragamma(x: float) -> float:
    """The derivative of trigamma."""
    steps = _steps(x)
    far = x + steps
    series = sum((2 * k + 1) * b / far ** (2 * k + 2) for k, b in enumerate(_BERNOULLI, start=1))
    return -1 / far**2 - 1 / far**3 - series - sum(2 / (x + step) ** 3 for step in range(steps))


def rank_test(
    ones: Sequence[float] | NDArray[np.float64], others: Sequence[float] | NDArray[np.float64]
) -> float:
    """Mann and Whitney's two-sided test that two samples have one distribution.

    Counted out where a sample is small and no two values are equal; else by the normal approximation, which
    is corrected for ties and for continuity.
    """
    first, second = (np.asarray(values, dtype=float) for values in (ones, others))
    n, m = len(first), len(second)
    pairs = np.sign(np.subtract.outer(first, second))
    above = float((pairs > 0).sum() + (pairs == 0).sum() / 2)
    larger = max(above, n * m - above)
    _, tied = np.unique(np.concatenate([first, second]), return_counts=True)
    if min(n, m) < EXACT_BELOW and tied.max() == 1:
        ways = _ways(n, m)
        return min(1.0, 2 * sum(ways[int(larger) :]) / math.comb(n + m, n))
    correction = float((tied**3 - tied).sum()) / ((n + m) * (n + m - 1))
    deviation = math.sqrt(n * m / 12 * (n + m + 1 - correction))
    if deviation == 0:
        return 1.0
    return min(1.0, math.erfc((larger - n * m / 2 - 0.5) / deviation / math.sqrt(2)))


def _ways(n: int, m: int) -> list[int]:
    """In how many orders of `n` values among `m` others just so many pairs have one of the first above."""
    ways = [1] + [0] * (n * m)
    for size in range(1, n + 1):  # the Gaussian binomial coefficient: ∏ (1 − q^(m + size)) / (1 − q^size)
        for total in range(n * m, m + size - 1, -1):
            ways[total] -= ways[total - m - size]
        for total in range(size, n * m + 1):
            ways[total] += ways[total - size]
    return ways


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction where that is quick."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(logarithm) / a / _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction 1 + d₁ / (1 + d₂ / (1 + …)) of the incomplete beta function (Lentz's method)."""
    value = ratio = 1.0
    inverse = 0.0
    for number in range(1, 1000):
        half = number // 2
        if number % 2:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        inverse = 1 / (1 + term * inverse or TINY)
        ratio = 1 + term / ratio or TINY
        value *= inverse * ratio
        if abs(inverse * ratio - 1) < 1e-16:
            break
    return value


def _student_t_density(freedom: float, t: float) -> float:
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    return math.exp(scale - (freedom + 1) / 2 * math.log1p(t * t / freedom))


def _steps(x: float) -> int:
    """How many steps of 1 it is to where the asymptotic series hold."""
    return max(0, math.ceil(ASYMPTOTIC - x))


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
_OF_DIGAMMA = tuple(b / (2 * k) for k, b in enumerate(_BERNOULLI, start=1))
