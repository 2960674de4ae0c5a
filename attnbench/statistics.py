"""From samples to numbers: arrays in, numbers out; no torch, no files.

A time is summarised by its median over rounds, a comparison by the median of the rounds' log-ratios, because
both members of a round met the same machine. Intervals come from the percentile bootstrap with a fixed seed,
rounds resampled within their sessions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95
LEAST_ROUNDS = 5  # the median of fewer rounds has no interval worth printing


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval; `low` and `high` are None where there are too few rounds for one."""

    value: float
    low: float | None = None
    high: float | None = None


def median_with_interval(values: Sequence[float], sessions: Sequence[int]) -> Estimate:
    """The median of `values`, each measured in the session of the same index."""
    array = np.asarray(values, dtype=float)
    middle = float(np.median(array))
    if len(array) < LEAST_ROUNDS:
        return Estimate(middle)
    medians = np.median(array[_resamples(np.asarray(sessions))], axis=1)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(medians, [tail, 100 - tail])
    return Estimate(middle, float(low), float(high))


def paired_ratio(
    numerators: Sequence[float], denominators: Sequence[float], sessions: Sequence[int]
) -> Estimate:
    """The median ratio of values that were measured in the same rounds, on the scale of logarithms."""
    logarithms = np.log(np.asarray(numerators, dtype=float) / np.asarray(denominators, dtype=float))
    logarithm = median_with_interval(logarithms.tolist(), sessions)
    if logarithm.low is None or logarithm.high is None:
        return Estimate(math.exp(logarithm.value))
    return Estimate(math.exp(logarithm.value), math.exp(logarithm.low), math.exp(logarithm.high))


def rank_correlation(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Kendall's τ-b: 1 where both put everything in the same order, −1 where in the opposite one."""
    from scipy.stats import kendalltau

    return float(kendalltau(ours, theirs).statistic)


def _resamples(sessions: NDArray[np.int_]) -> NDArray[np.int_]:
    """Indices `[RESAMPLES, rounds]`: each session's rounds drawn from that session, with replacement."""
    random = np.random.default_rng(0)
    members = [np.flatnonzero(sessions == session) for session in np.unique(sessions)]
    return np.concatenate([random.choice(rounds, (RESAMPLES, len(rounds))) for rounds in members], axis=1)
