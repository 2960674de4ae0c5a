"""Ratios without the machine's own changes of speed, as far as probes beside both samples tell them.

A control variate: what the probes differ by between two samples of a round has the mean 0, so that any share
of it may be taken out of their ratio. The share that leaves least scatter is the slope of one over the other.
"""

import numpy as np
from numpy.typing import NDArray

from attnbench.statistics.estimate import Floats, log_ratios

LEAST_PROBED = 10  # rounds; a slope through fewer says little
HUBER = 1.5  # deviations beyond which a round has less weight
PASSES = 10


def steadied(
    numerators: Floats, denominators: Floats, probes: Floats, other_probes: Floats
) -> tuple[NDArray[np.float64], float]:
    """The numerators, corrected to the speed that the machine had for the denominators, and by which share.

    `probes` are seconds of a probe beside each numerator, `other_probes` beside each denominator. A share of
    0 leaves the numerators as they are; so do fewer than ten rounds.
    """
    changes = log_ratios(probes, other_probes)
    share = 0.0
    if len(changes) >= LEAST_PROBED and np.ptp(changes) > 0:
        share = float(np.clip(_slope(changes, log_ratios(numerators, denominators)), 0, 1))
    return np.asarray(numerators, dtype=float) * np.exp(-share * changes), share


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The slope of a line through points, of which far ones have less weight (Huber)."""
    weights = np.ones(len(x))
    slope = 0.0
    for _ in range(PASSES):
        middle_x, middle_y = np.average(x, weights=weights), np.average(y, weights=weights)
        slope = float(
            (weights * (x - middle_x) * (y - middle_y)).sum() / (weights * (x - middle_x) ** 2).sum()
        )
        far = np.abs(y - middle_y - slope * (x - middle_x))
        usual = 1.4826 * float(np.median(far))
        weights = np.minimum(1.0, HUBER * usual / np.maximum(far, 1e-12)) if usual > 0 else np.ones(len(x))
    return slope
