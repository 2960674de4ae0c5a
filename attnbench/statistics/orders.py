"""How alike two orders are, and where an order changes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from attnbench.statistics.bootstrap import median, resampled_medians
from attnbench.statistics.estimate import (
    LEAST_ROUNDS,
    Estimate,
    Floats,
    Integers,
    exponential,
    percentile_interval,
    session_medians,
)


@dataclass(frozen=True, slots=True)
class Crossing:
    """The size from which on a ratio is on the other side of 1: above it where it `rises`, else below."""

    size: Estimate
    rises: bool


def rank_correlation(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Kendall's τ-b: 1 where both put everything in the same order, −1 where in the opposite one.

    NaN where one of them puts nothing before anything else.
    """
    x, y = (np.sign(np.subtract.outer(values, values)) for values in (ours, theirs))
    untied = np.abs(x).sum() * np.abs(y).sum()
    return float((x * y).sum() / math.sqrt(untied)) if untied else math.nan


def crossings(sizes: Floats, ratios: Sequence[tuple[Floats, Integers]]) -> list[Crossing]:
    """Where a paired ratio passes 1, for growing `sizes` and the ratios and sessions of each.

    A size is decided where the interval of its ratio and the median of each session lie on one side of 1.
    There is a crossing between any two decided sizes of opposite sides that have no decided one between them:
    at the last change of sign between the two, by linear interpolation of the ratio's logarithm over that of
    the size. So nothing is said beyond the outermost decided sizes. The interval resamples rounds within
    sessions at every size; a resample without a change of sign counts as one at the nearer end.
    """
    logarithms = [(np.log(np.asarray(values, dtype=float)), np.asarray(by)) for values, by in ratios]
    medians = np.array([median(values) for values, _ in logarithms])
    if np.all(medians > 0) or np.all(medians < 0):
        return []
    resampled = np.array(
        [resampled_medians(values, by, seed) for seed, (values, by) in enumerate(logarithms)]
    )
    sides = [_side(values, by, again) for (values, by), again in zip(logarithms, resampled, strict=True)]
    positions, crossings = np.log(np.asarray(sizes, dtype=float)), []
    for first, last in pairwise(np.flatnonzero(sides)):
        if sides[first] != sides[last]:
            between, rises = slice(first, last + 1), sides[last]
            (value,) = _last_change(positions[between], rises * medians[between, None])
            interval = percentile_interval(_last_change(positions[between], rises * resampled[between]))
            crossings.append(Crossing(exponential(Estimate(float(value), *interval)), rises > 0))
    return crossings


def _side(logarithms: NDArray[np.float64], sessions: NDArray[np.int_], medians: NDArray[np.float64]) -> int:
    """The side of 1 on which a ratio's interval, from resampled `medians`, and all sessions lie; 0 = open."""
    if len(logarithms) < LEAST_ROUNDS:
        return 0
    ends = (*percentile_interval(medians), *session_medians(logarithms, sessions))
    return int(min(ends) > 0) - int(max(ends) < 0)


def _last_change(positions: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where each column of `values` `[positions, columns]` passes from below 0 to above it for the last time.

    The ends are taken to be below and above it, so that a column that passes nowhere does so at an end.
    """
    values = values.copy()
    values[0] = np.minimum(values[0], 0)
    values[-1] = np.maximum(values[-1], np.finfo(float).tiny)
    below = len(positions) - 1 - np.argmax(values[::-1] <= 0, axis=0)
    columns = np.arange(values.shape[1])
    start, end = values[below, columns], values[below + 1, columns]
    crossed: NDArray[np.float64] = positions[below] + np.diff(positions)[below] * start / (start - end)
    return crossed
