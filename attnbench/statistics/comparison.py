"""What may be said of two speeds.

A comparison is summarised by the median of the rounds' log-ratios, because both members of a round met the
same machine; of a member that has several samples in a round, each is paired with each of the other's. A
verdict asks for more than an interval: tests over rounds and over sessions that stay significant beside all
other verdicts, and an effect above the block's noise floor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from attnbench.statistics.bootstrap import median, medians_of_sessions, resampled_medians
from attnbench.statistics.distributions import rank_test, sign_test, student_t, student_t_quantile
from attnbench.statistics.estimate import (
    CONFIDENCE,
    LEAST_ROUNDS,
    Estimate,
    Floats,
    Integers,
    exponential,
    log_ratios,
    median_with_interval,
    percentile_interval,
    round_medians,
    session_medians,
)
from attnbench.statistics.scatter import Scatter

MARGIN = 0.03  # speeds this close are the same for any purpose


class Verdict(StrEnum):
    """What may be said of two speeds."""

    faster = "faster"
    slower = "slower"
    same = "same"
    unclear = "unclear"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ratio of speeds, and what a verdict on it needs.

    `p_value` is the chance of rounds, and of sessions, as one-sided as these if neither were faster: the
    larger of the two. `by_session` has the ratio of each session that is long enough to have one. `between`
    is the ratio as sessions tell it, with the scatter between them: None where there is but one.
    """

    ratio: Estimate
    p_value: float
    by_session: tuple[float, ...]
    between: Estimate | None = None


def compare_pairs(
    numerators: Floats, denominators: Floats, sessions: Integers, scatter: Scatter | None = None
) -> Comparison:
    """The paired ratio, that of each session, and a sign test over rounds with a t-test over sessions.

    The t-test has the `scatter` of the block, or that of these sessions alone.
    """
    logarithms = log_ratios(numerators, denominators)
    medians = session_medians(logarithms, np.asarray(sessions))
    p_value, between = _tested(logarithms, medians, scatter)
    return Comparison(
        exponential(median_with_interval(logarithms, sessions)),
        p_value,
        tuple(np.exp(medians).tolist()),
        between,
    )


def p_value_of_pairs(
    numerators: Floats, denominators: Floats, sessions: Integers, scatter: Scatter | None = None
) -> float:
    """That of the comparison of the same pairs, without its intervals."""
    logarithms = log_ratios(numerators, denominators)
    p_value, _ = _tested(logarithms, session_medians(logarithms, np.asarray(sessions)), scatter)
    return p_value


def session_ratios(numerators: Floats, denominators: Floats, sessions: Integers) -> dict[int, float]:
    """The logarithm of the median ratio of each session with at least `LEAST_ROUNDS` rounds."""
    return medians_of_sessions(log_ratios(numerators, denominators), np.asarray(sessions), LEAST_ROUNDS)


def compare_apart(numerators: tuple[Floats, Integers], denominators: tuple[Floats, Integers]) -> Comparison:
    """The ratio of two medians that were measured at different times: values and sessions of each.

    Every session of the one is set beside every session of the other, so that they agree only when they do
    not overlap.
    """
    (above, above_sessions), (below, below_sessions) = (
        (np.log(np.asarray(values, dtype=float)), np.asarray(sessions))
        for values, sessions in (numerators, denominators)
    )
    difference = Estimate(median(above) - median(below))
    if min(len(above), len(below)) >= LEAST_ROUNDS:
        first = resampled_medians(above, above_sessions, seed=1)
        second = resampled_medians(below, below_sessions, seed=2)
        difference = Estimate(difference.value, *percentile_interval(first - second))
    medians = session_medians(above, above_sessions), session_medians(below, below_sessions)
    pairs = np.subtract.outer(*medians)
    overlap = abs(np.sign(pairs).sum()) != pairs.size
    by_rounds = 1.0 if overlap else rank_test(round_medians(above), round_medians(below))
    return Comparison(
        exponential(difference),
        max(by_rounds, _welchs_test(*medians)),
        tuple(np.exp(pairs).ravel().tolist()),
        Estimate(math.exp(pairs.mean()), math.exp(pairs.min()), math.exp(pairs.max()))
        if pairs.size
        else None,
    )


def noise_floor(twin: Estimate) -> float | None:
    """How far from 1 the ratio of a layer to its own twin may lie: nothing smaller is an effect."""
    if twin.low is None or twin.high is None:
        return None
    return max(1 / twin.low, twin.high) - 1


def verdicts(
    comparisons: Sequence[Comparison], floors: Sequence[float], beside: Sequence[float] = ()
) -> list[Verdict]:
    """A verdict for each comparison, above the noise floor of the same index.

    The p-values, each the larger of that of a test over rounds (of signs, or of ranks where they are not
    paired) and that of a t-test over sessions, are corrected together (Benjamini-Hochberg), so that all
    comparisons whose verdicts are read together belong into one call; of those of which nobody asks for the
    verdict, the p-values stand `beside`.
    """
    p_values = _corrected(np.array([*(comparison.p_value for comparison in comparisons), *beside]))
    return [
        _verdict(comparison, p_value < 1 - CONFIDENCE, floor)
        for comparison, p_value, floor in zip(comparisons, p_values[: len(comparisons)], floors, strict=True)
    ]


def _corrected(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The p-values as Benjamini and Hochberg adjust them for each other."""
    order = np.argsort(p_values)
    ranked = p_values[order] * len(order) / np.arange(1, len(order) + 1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum.accumulate(ranked[::-1])[::-1]
    return corrected


def _verdict(comparison: Comparison, significant: bool, floor: float) -> Verdict:
    ratio, between = comparison.ratio, comparison.between
    if ratio.low is None or ratio.high is None:
        return Verdict.unclear
    if _within_margin(ratio.low, ratio.high) and (
        _within_margin(*comparison.by_session) or (between and _within_margin(between.low, between.high))
    ):
        return Verdict.same
    above_floor = max(ratio.value, 1 / ratio.value) - 1 > floor
    if significant and above_floor and ratio.low > 1:
        return Verdict.faster
    if significant and above_floor and ratio.high < 1:
        return Verdict.slower
    return Verdict.unclear


def _within_margin(*ratios: float | None) -> bool:
    return all(ratio is not None and 1 / (1 + MARGIN) <= ratio <= 1 + MARGIN for ratio in ratios)


def _tested(
    logarithms: NDArray[np.float64], medians: NDArray[np.float64], scatter: Scatter | None
) -> tuple[float, Estimate | None]:
    """The larger p-value of the tests over rounds and over sessions, and the ratio as sessions tell it."""
    p_value, between = _over_sessions(medians, scatter)
    return max(_sign_test(logarithms), p_value), between


def _sign_test(logarithms: NDArray[np.float64]) -> float:
    """The two-sided binomial test that the rounds' median is 0; those that say neither are left out."""
    medians = round_medians(logarithms)
    positive, negative = int((medians > 0).sum()), int((medians < 0).sum())
    return min(1.0, 2 * sign_test(min(positive, negative), positive + negative))


def _over_sessions(medians: NDArray[np.float64], scatter: Scatter | None) -> tuple[float, Estimate | None]:
    """A t-test that the sessions' logarithms have the mean 0, and their ratio with its 90 % interval.

    Rounds of one session share whatever that process was dealt, so that they alone count for too much. Where
    one session is all there is, it has nothing to say: 0, None. Nor has the test where nothing scatters. A
    ratio whose 90 % interval lies within a margin is within it by two one-sided tests at 5 %.
    """
    if len(medians) < 2:
        return 0.0, None
    mean, known = float(medians.mean()), scatter or Scatter(float(medians.var(ddof=1)), len(medians) - 1)
    error = math.sqrt(known.variance / len(medians))
    if error == 0:
        return 0.0, exponential(Estimate(mean, mean, mean))
    reach = student_t_quantile(known.freedom, CONFIDENCE) * error
    p_value = 2 * student_t(known.freedom, -abs(mean) / error)
    return p_value, exponential(Estimate(mean, mean - reach, mean + reach))


def _welchs_test(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Welch's t-test that two runs' sessions have one mean; 0 where nothing scatters, or one is alone."""
    samples = [ours, theirs]
    if min(map(len, samples)) < 2 or not any(np.ptp(sample) > 0 for sample in samples):
        return 0.0
    freedom = np.array([len(sample) - 1 for sample in samples])
    errors = np.array([sample.var(ddof=1) / len(sample) for sample in samples])  # of the means, squared
    t = (ours.mean() - theirs.mean()) / math.sqrt(errors.sum())
    return 2 * student_t(float(errors.sum() ** 2 / (errors**2 / freedom).sum()), -abs(float(t)))
