"""Medians over rounds, and how well they are known.

Values are one number a round, or `[rounds, samples]` where a round has several. Intervals come from the
percentile bootstrap.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnbench.statistics.bootstrap import median, medians_of_rows, medians_of_sessions, resampled_medians
from attnbench.statistics.distributions import student_t_quantile

CONFIDENCE = 0.95
LEAST_SESSIONS = 3  # the mean of fewer has none either
LEAST_ROUNDS = 5  # the median of fewer rounds has no interval worth printing
Floats = Sequence[float] | NDArray[np.float64]
Integers = Sequence[int] | NDArray[np.int_]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval; `low` and `high` are None where there are too few rounds for one."""

    value: float
    low: float | None = None
    high: float | None = None

    def within(self, precision: float) -> bool:
        """Whether half the interval is at most `precision` of the value."""
        return None not in (self.low, self.high) and self.half_width <= precision

    @property
    def half_width(self) -> float:
        """Half the interval's width relative to the value; infinite without an interval."""
        if self.low is None or self.high is None:
            return math.inf
        return (self.high - self.low) / 2 / self.value

    def scaled(self, factor: float) -> "Estimate":
        """The same quantity in another unit."""
        if self.low is None or self.high is None:
            return Estimate(self.value * factor)
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


def median_with_interval(values: Floats, sessions: Integers) -> Estimate:
    """The median of all `values`, whose rounds were measured in the sessions of the same index."""
    array = np.asarray(values, dtype=float)
    middle = median(array)
    if len(array) < LEAST_ROUNDS:
        return Estimate(middle)
    return Estimate(middle, *percentile_interval(resampled_medians(array, np.asarray(sessions))))


def mean_of_sessions(values: Floats) -> Estimate:
    """The geometric mean of positive values, one of each session, with the interval of Student's t.

    No interval below `LEAST_SESSIONS`: two say next to nothing of how far others lie.
    """
    logarithms = np.log(np.asarray(values, dtype=float))
    mean, number = float(logarithms.mean()), len(logarithms)
    if number < LEAST_SESSIONS:
        return Estimate(math.exp(mean))
    error = float(logarithms.std(ddof=1)) / math.sqrt(number)
    reach = student_t_quantile(number - 1, (1 + CONFIDENCE) / 2) * error
    return exponential(Estimate(mean, mean - reach, mean + reach))


def mean_with_deviation(values: Floats) -> Estimate:
    """The mean of all `values`, and one standard deviation of them to either side of it."""
    array = np.asarray(values, dtype=float)
    mean = float(array.mean())
    if len(array) < LEAST_ROUNDS:
        return Estimate(mean)
    deviation = float(array.std(ddof=1))
    return Estimate(mean, mean - deviation, mean + deviation)


def between_quartiles(middle: float, values: Floats) -> Estimate:
    """What is in the middle of all `values`, and their first and third quartile instead of an interval."""
    array = np.asarray(values, dtype=float)
    if len(array) < LEAST_ROUNDS:
        return Estimate(middle)
    low, high = np.percentile(array, [25, 75])
    return Estimate(middle, float(low), float(high))


def paired_ratio(numerators: Floats, denominators: Floats, sessions: Integers) -> Estimate:
    """The median ratio of values that were measured in the same rounds, on the scale of logarithms.

    Where a round has several of either, each of the one is set beside each of the other.
    """
    return exponential(median_with_interval(log_ratios(numerators, denominators), sessions))


def session_spread(values: Floats, sessions: Integers) -> float | None:
    """How far apart the medians of the sessions lie, relative to the smallest; None for one session."""
    medians = session_medians(np.asarray(values, dtype=float), np.asarray(sessions))
    return float(medians.max() / medians.min() - 1) if len(medians) > 1 else None


def settling_rounds(rounds: Sequence[Mapping[int, float]]) -> int:
    """How many of a session's first rounds were taken before the machine was as fast as later; mostly 0.

    `rounds` are seconds by member. A round is as slow as the median of its members' times beside their own
    medians. First rounds are settling that are slower than all later ones, by more than the range of the
    middle half of those. Never more than a quarter of all are.
    """
    members = sorted(set().union(*rounds))
    times = np.array([[each.get(member, math.nan) for member in members] for each in rounds])
    if len(rounds) < 4 * LEAST_ROUNDS:
        return 0
    slowness = np.nanmedian(np.log(times) - np.nanmedian(np.log(times), axis=0), axis=1)
    for count in range(len(rounds) // 4, 0, -1):
        first, later = slowness[:count], slowness[count:]
        if first.min() > later.max() + np.subtract(*np.percentile(later, [75, 25])):
            return count
    return 0


def ratios_of_pairs(numerators: Floats, denominators: Floats) -> NDArray[np.float64]:
    """The ratios `[rounds, pairs]` of each of a round's numerators to each of its denominators."""
    above, below = (_samples(np.asarray(values, dtype=float)) for values in (numerators, denominators))
    ratios: NDArray[np.float64] = above[:, :, None] / below[:, None, :]
    return ratios.reshape(len(ratios), above.shape[1] * below.shape[1])


def log_ratios(numerators: Floats, denominators: Floats) -> NDArray[np.float64]:
    """Their logarithms."""
    logarithms: NDArray[np.float64] = np.log(ratios_of_pairs(numerators, denominators))
    return logarithms


def exponential(logarithm: Estimate) -> Estimate:
    if logarithm.low is None or logarithm.high is None:
        return Estimate(math.exp(logarithm.value))
    return Estimate(math.exp(logarithm.value), math.exp(logarithm.low), math.exp(logarithm.high))


def percentile_interval(resampled: NDArray[np.float64]) -> tuple[float, float]:
    """The ends of the middle `CONFIDENCE` of all numbers: `numpy.percentile`, in less of its time."""
    tail = 50 * (1 - CONFIDENCE)
    ranks = [percent / 100 * (len(resampled) - 1) for percent in (tail, 100 - tail)]
    ordered = np.sort(resampled)
    low, high = (
        _between(float(ordered[int(rank)]), float(ordered[math.ceil(rank)]), rank % 1) for rank in ranks
    )
    return low, high


def _between(low: float, high: float, share: float) -> float:
    """What lies at a share of the way, reckoned from the nearer end."""
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def session_medians(values: NDArray[np.float64], sessions: NDArray[np.int_]) -> NDArray[np.float64]:
    """The median of each session with at least `LEAST_ROUNDS` rounds."""
    return np.array(list(medians_of_sessions(values, sessions, LEAST_ROUNDS).values()))


def round_medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """One number for each round, because what a round's samples have in common they have only once."""
    return medians_of_rows(_samples(values))


def _samples(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """As `[rounds, samples]`."""
    return values if values.ndim == 2 else values[:, None]
