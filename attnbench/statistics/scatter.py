"""How far logarithms of times are from session to session, as all members of a block tell it together.

Sessions are few, so that the scatter of one ratio over them is hardly known. That of all members of a block
is: each member's variance is shrunk towards what the block has in common (empirical Bayes; Smyth 2004,
*Linear Models and Empirical Bayes Methods for Assessing Differential Expression*).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnbench.statistics.distributions import digamma, tetragamma, trigamma


@dataclass(frozen=True, slots=True)
class Scatter:
    """How far a logarithm of one session is from that of another: its variance, and how well that is known.

    `freedom` is in degrees; infinite where all members of a block scatter alike.
    """

    variance: float
    freedom: float

    def __add__(self, other: "Scatter") -> "Scatter":
        """The scatter of a difference of two."""
        return Scatter(self.variance + other.variance, min(self.freedom, other.freedom))


def session_scatter(ratios: NDArray[np.float64]) -> tuple[Scatter, list[Scatter]]:
    """How far a reference, and each member, is from session to session: `ratios` `[members, sessions]`.

    These are logarithms of the time of the reference over that of each member. What a session has in common
    to all members is the reference's own doing; the rest is the members'. Each variance is shrunk towards
    that of all, by as much as they are alike (Smyth 2004). Of a single member, half is each's.
    """
    members, sessions = ratios.shape
    within = ratios - ratios.mean(axis=1, keepdims=True)
    if members == 1:
        half = Scatter(float((within**2).sum() / (sessions - 1)) / 2, sessions - 1)
        return half, [half]
    common = within.mean(axis=0)
    freedom = (sessions - 1) * (members - 1) / members
    variances = ((within - common) ** 2).sum(axis=1) / freedom
    reference = (common**2).sum() / (sessions - 1) - variances.mean() / members
    shrunk = _shrunk(
        np.array([max(reference, 0.0), *variances]), np.array([sessions - 1.0, *[freedom] * members])
    )
    return shrunk[0], shrunk[1:]


def _shrunk(variances: NDArray[np.float64], freedoms: NDArray[np.float64]) -> list[Scatter]:
    """Each variance moved towards what all have in common, the more the less it is known and they differ."""
    usual, weight = _prior(variances, freedoms)
    most = float(freedoms.sum())
    if math.isinf(weight):
        return [Scatter(usual, most)] * len(variances)
    means = (weight * usual + freedoms * variances) / (weight + freedoms)
    known = np.minimum(weight + freedoms, most)
    return [Scatter(*each) for each in zip(means.tolist(), known.tolist(), strict=True)]


def _prior(variances: NDArray[np.float64], freedoms: NDArray[np.float64]) -> tuple[float, float]:
    """The variance that all have in common, and for how many degrees of freedom it counts.

    Fitted to the mean and variance of the logarithms of those that are not 0: each is spread by the trigamma
    function of half its degrees of freedom, and all together by more where they are unlike.
    """
    halves = freedoms[variances > 0] / 2
    if not len(halves):
        return 0.0, math.inf
    digammas, trigammas = (np.array(list(map(each, halves.tolist()))) for each in (digamma, trigamma))
    logarithms = np.log(variances[variances > 0]) - digammas + np.log(halves)
    middle = float(logarithms.mean())
    unlike = float(((logarithms - middle) ** 2).sum() / max(1, len(halves) - 1) - trigammas.mean())
    if unlike <= 0:
        return math.exp(middle), math.inf
    half = _inverse_trigamma(unlike)
    return math.exp(middle + digamma(half) - math.log(half)), 2 * half


def _inverse_trigamma(value: float) -> float:
    """Where the trigamma function has this value, by Newton's method on its reciprocal, which is nearly
    straight: from below, so that every step goes up."""
    found = 0.5 + 1 / value
    for _ in range(20):
        there = trigamma(found)
        found += there * (1 - there / value) / tetragamma(found)
    return found
