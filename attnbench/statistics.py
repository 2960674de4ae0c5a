"""From samples to numbers: arrays in, numbers out; no torch, no files.

A time is summarised by its median over rounds, a comparison by the median of the rounds' log-ratios, because
both members of a round met the same machine. Intervals come from the percentile bootstrap with a fixed seed,
rounds resampled within their sessions. A verdict asks for more than an interval: tests over rounds and over
sessions that stay significant beside all other verdicts, and an effect above the block's noise floor.

Sessions are few, so that the scatter of one ratio over them is hardly known. That of all members of a block
is: each member's variance is shrunk towards what the block has in common (empirical Bayes; Smyth 2004,
*Linear Models and Empirical Bayes Methods for Assessing Differential Expression*).

`scipy.stats` takes longer to import than a table to make: only two runs side by side ask for it, and what a
run alone needs is here, from `scipy.special`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95
LEAST_ROUNDS = 5  # the median of fewer rounds has no interval worth printing
MARGIN = 0.03  # speeds this close are the same for any purpose

Floats = Sequence[float] | NDArray[np.float64]
Integers = Sequence[int] | NDArray[np.int_]


class Verdict(StrEnum):
    """What may be said of two speeds."""

    faster = "faster"
    slower = "slower"
    same = "same"
    unclear = "unclear"


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


@dataclass(frozen=True, slots=True)
class Crossing:
    """The size from which on a ratio is on the other side of 1: above it where it `rises`, else below."""

    size: Estimate
    rises: bool


def median_with_interval(values: Floats, sessions: Integers) -> Estimate:
    """The median of `values`, each measured in the session of the same index."""
    array = np.asarray(values, dtype=float)
    middle = float(np.median(array))
    if len(array) < LEAST_ROUNDS:
        return Estimate(middle)
    medians = np.median(array[_resamples(np.asarray(sessions))], axis=1)
    return Estimate(middle, *_interval(medians))


def paired_ratio(numerators: Floats, denominators: Floats, sessions: Integers) -> Estimate:
    """The median ratio of values that were measured in the same rounds, on the scale of logarithms."""
    return _exp(median_with_interval(_log_ratios(numerators, denominators), sessions))


def compare_pairs(
    numerators: Floats, denominators: Floats, sessions: Integers, scatter: Scatter | None = None
) -> Comparison:
    """The paired ratio, that of each session, and a sign test over rounds with a t-test over sessions.

    The t-test has the `scatter` of the block, or that of these sessions alone.
    """
    logarithms = _log_ratios(numerators, denominators)
    medians = np.array(list(session_ratios(numerators, denominators, sessions).values()))
    p_value, between = _over_sessions(medians, scatter)
    return Comparison(
        _exp(median_with_interval(logarithms, sessions)),
        max(_sign_test(logarithms), p_value),
        tuple(np.exp(medians).tolist()),
        between,
    )


def session_ratios(numerators: Floats, denominators: Floats, sessions: Integers) -> dict[int, float]:
    """The logarithm of the median ratio of each session with at least `LEAST_ROUNDS` rounds."""
    logarithms, numbers = _log_ratios(numerators, denominators), np.asarray(sessions)
    groups = {int(session): logarithms[numbers == session] for session in np.unique(numbers)}
    return {
        session: float(np.median(group)) for session, group in groups.items() if len(group) >= LEAST_ROUNDS
    }


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
    found = _shrunk(
        np.array([max(reference, 0.0), *variances]), np.array([sessions - 1.0, *[freedom] * members])
    )
    return found[0], found[1:]


def compare_apart(numerators: tuple[Floats, Integers], denominators: tuple[Floats, Integers]) -> Comparison:
    """The ratio of two medians that were measured at different times: values and sessions of each.

    Every session of the one is set beside every session of the other, so that they agree only when they do
    not overlap.
    """
    from scipy.stats import mannwhitneyu

    (above, above_sessions), (below, below_sessions) = (
        (np.log(np.asarray(values, dtype=float)), np.asarray(sessions))
        for values, sessions in (numerators, denominators)
    )
    difference = Estimate(float(np.median(above) - np.median(below)))
    if min(len(above), len(below)) >= LEAST_ROUNDS:
        first = np.median(above[_resamples(above_sessions, seed=1)], axis=1)
        second = np.median(below[_resamples(below_sessions, seed=2)], axis=1)
        difference = Estimate(difference.value, *_interval(first - second))
    medians = _session_medians(above, above_sessions), _session_medians(below, below_sessions)
    pairs = np.subtract.outer(*medians)
    overlap = abs(np.sign(pairs).sum()) != pairs.size
    by_rounds = 1.0 if overlap else float(mannwhitneyu(above, below).pvalue)
    return Comparison(
        _exp(difference),
        max(by_rounds, _welchs_test(*medians)),
        tuple(np.exp(pairs).ravel().tolist()),
        Estimate(math.exp(pairs.mean()), math.exp(pairs.min()), math.exp(pairs.max()))
        if pairs.size
        else None,
    )


def crossings(sizes: Floats, ratios: Sequence[tuple[Floats, Integers]]) -> list[Crossing]:
    """Where a paired ratio passes 1, for growing `sizes` and the ratios and sessions of each.

    A size is decided where the interval of its ratio and the median of each session lie on one side of 1.
    There is a crossing between any two decided sizes of opposite sides that have no decided one between them:
    at the last change of sign between the two, by linear interpolation of the ratio's logarithm over that of
    the size. So nothing is said beyond the outermost decided sizes. The interval resamples rounds within
    sessions at every size; a resample without a change of sign counts as one at the nearer end.
    """
    logarithms = [(np.log(np.asarray(values, dtype=float)), np.asarray(by)) for values, by in ratios]
    medians = np.array([np.median(values) for values, _ in logarithms])
    if np.all(medians > 0) or np.all(medians < 0):
        return []
    resampled = np.array(
        [np.median(values[_resamples(by, seed)], axis=1) for seed, (values, by) in enumerate(logarithms)]
    )
    sides = [_side(values, by, again) for (values, by), again in zip(logarithms, resampled, strict=True)]
    positions, found = np.log(np.asarray(sizes, dtype=float)), []
    for first, last in pairwise(np.flatnonzero(sides)):
        if sides[first] != sides[last]:
            between, rises = slice(first, last + 1), sides[last]
            (value,) = _last_change(positions[between], rises * medians[between, None])
            interval = _interval(_last_change(positions[between], rises * resampled[between]))
            found.append(Crossing(_exp(Estimate(float(value), *interval)), rises > 0))
    return found


def noise_floor(twin: Estimate) -> float | None:
    """How far from 1 the ratio of a layer to its own twin may lie: nothing smaller is an effect."""
    if twin.low is None or twin.high is None:
        return None
    return max(1 / twin.low, twin.high) - 1


def verdicts(comparisons: Sequence[Comparison], floors: Sequence[float]) -> list[Verdict]:
    """A verdict for each comparison, above the noise floor of the same index.

    The p-values, each the larger of that of a test over rounds (of signs, or of ranks where they are not
    paired) and that of a t-test over sessions, are corrected together (Benjamini-Hochberg), so that all
    comparisons whose verdicts are read together belong into one call.
    """
    p_values = _corrected(np.array([comparison.p_value for comparison in comparisons]))
    return [
        _verdict(comparison, p_value < 1 - CONFIDENCE, floor)
        for comparison, p_value, floor in zip(comparisons, p_values, floors, strict=True)
    ]


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


def session_spread(values: Floats, sessions: Integers) -> float | None:
    """How far apart the medians of the sessions lie, relative to the smallest; None for one session."""
    medians = _session_medians(np.asarray(values, dtype=float), np.asarray(sessions))
    return float(medians.max() / medians.min() - 1) if len(medians) > 1 else None


def rank_correlation(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Kendall's τ-b: 1 where both put everything in the same order, −1 where in the opposite one.

    NaN where one of them puts nothing before anything else.
    """
    x, y = (np.sign(np.subtract.outer(values, values)) for values in (ours, theirs))
    untied = np.abs(x).sum() * np.abs(y).sum()
    return float((x * y).sum() / math.sqrt(untied)) if untied else math.nan


def _corrected(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The p-values as Benjamini and Hochberg adjust them for each other."""
    order = np.argsort(p_values)
    ranked = p_values[order] * len(order) / np.arange(1, len(order) + 1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum.accumulate(ranked[::-1])[::-1]
    return np.minimum(corrected, 1)


def _verdict(comparison: Comparison, significant: bool, floor: float) -> Verdict:
    ratio, between = comparison.ratio, comparison.between
    if ratio.low is None or ratio.high is None:
        return Verdict.unclear
    ends = (ratio.low, ratio.high, *((between.low, between.high) if between else ()))
    if all(end is not None and 1 / (1 + MARGIN) <= end <= 1 + MARGIN for end in ends):
        return Verdict.same
    above_floor = max(ratio.value, 1 / ratio.value) - 1 > floor
    if significant and above_floor and ratio.low > 1:
        return Verdict.faster
    if significant and above_floor and ratio.high < 1:
        return Verdict.slower
    return Verdict.unclear


def _side(logarithms: NDArray[np.float64], sessions: NDArray[np.int_], medians: NDArray[np.float64]) -> int:
    """The side of 1 on which a ratio's interval, from resampled `medians`, and all sessions lie; 0 = open."""
    if len(logarithms) < LEAST_ROUNDS:
        return 0
    ends = (*_interval(medians), *_session_medians(logarithms, sessions))
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


def _log_ratios(numerators: Floats, denominators: Floats) -> NDArray[np.float64]:
    logarithms: NDArray[np.float64] = np.log(np.asarray(numerators, float) / np.asarray(denominators, float))
    return logarithms


def _exp(logarithm: Estimate) -> Estimate:
    if logarithm.low is None or logarithm.high is None:
        return Estimate(math.exp(logarithm.value))
    return Estimate(math.exp(logarithm.value), math.exp(logarithm.low), math.exp(logarithm.high))


def _interval(resampled: NDArray[np.float64]) -> tuple[float, float]:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return float(low), float(high)


def _sign_test(logarithms: NDArray[np.float64]) -> float:
    """The two-sided binomial test that the median is 0; rounds that say neither are left out."""
    from scipy.special import bdtr

    positive, negative = int((logarithms > 0).sum()), int((logarithms < 0).sum())
    return min(1.0, 2 * float(bdtr(min(positive, negative), positive + negative, 0.5)))


def _over_sessions(medians: NDArray[np.float64], scatter: Scatter | None) -> tuple[float, Estimate | None]:
    """A t-test that the sessions' logarithms have the mean 0, and their ratio with its 90 % interval.

    Rounds of one session share whatever that process was dealt, so that they alone count for too much. Where
    one session is all there is, it has nothing to say: 0, None. Nor has the test where nothing scatters. A
    ratio whose 90 % interval lies within a margin is within it by two one-sided tests at 5 %.
    """
    from scipy.special import stdtr, stdtrit

    if len(medians) < 2:
        return 0.0, None
    mean, known = float(medians.mean()), scatter or Scatter(float(medians.var(ddof=1)), len(medians) - 1)
    error = math.sqrt(known.variance / len(medians))
    if error == 0:
        return 0.0, _exp(Estimate(mean, mean, mean))
    reach = float(stdtrit(known.freedom, CONFIDENCE)) * error
    p_value = 2 * float(stdtr(known.freedom, -abs(mean) / error))
    return p_value, _exp(Estimate(mean, mean - reach, mean + reach))


def _welchs_test(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Welch's t-test that two runs' sessions have one mean; 0 where nothing scatters, or one is alone."""
    from scipy.special import stdtr

    samples = [ours, theirs]
    if min(map(len, samples)) < 2 or not any(np.ptp(sample) > 0 for sample in samples):
        return 0.0
    freedom = np.array([len(sample) - 1 for sample in samples])
    errors = np.array([sample.var(ddof=1) / len(sample) for sample in samples])  # of the means, squared
    t = (ours.mean() - theirs.mean()) / math.sqrt(errors.sum())
    return 2 * float(stdtr(errors.sum() ** 2 / (errors**2 / freedom).sum(), -abs(t)))


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
    from scipy.special import digamma, polygamma

    halves = freedoms[variances > 0] / 2
    if not len(halves):
        return 0.0, math.inf
    logarithms = np.log(variances[variances > 0]) - digamma(halves) + np.log(halves)
    middle = float(logarithms.mean())
    unlike = float(((logarithms - middle) ** 2).sum() / max(1, len(halves) - 1) - polygamma(1, halves).mean())
    if unlike <= 0:
        return math.exp(middle), math.inf
    half = _inverse_trigamma(unlike)
    return math.exp(middle + float(digamma(half)) - math.log(half)), 2 * half


def _inverse_trigamma(value: float) -> float:
    """Where the trigamma function has this value, by Newton's method on its reciprocal, which is nearly
    straight: from below, so that every step goes up."""
    from scipy.special import polygamma

    found = 0.5 + 1 / value
    for _ in range(20):
        there = float(polygamma(1, found))
        found += there * (1 - there / value) / float(polygamma(2, found))
    return found


def _session_medians(values: NDArray[np.float64], sessions: NDArray[np.int_]) -> NDArray[np.float64]:
    """The median of each session with at least `LEAST_ROUNDS` rounds."""
    groups = [values[sessions == session] for session in np.unique(sessions)]
    return np.array([np.median(group) for group in groups if len(group) >= LEAST_ROUNDS])


def _resamples(sessions: NDArray[np.int_], seed: int = 0) -> NDArray[np.int_]:
    """Indices `[RESAMPLES, rounds]`: each session's rounds drawn from that session, with replacement."""
    return _drawn(tuple(sessions.tolist()), seed, RESAMPLES)


@lru_cache(maxsize=2)  # the rows of a block have the same rounds, and thousands take much memory
def _drawn(sessions: tuple[int, ...], seed: int, count: int) -> NDArray[np.int_]:
    random, numbers = np.random.default_rng(seed), np.array(sessions)
    members = [np.flatnonzero(numbers == session) for session in np.unique(numbers)]
    return np.concatenate([random.choice(rounds, (count, len(rounds))) for rounds in members], axis=1)
