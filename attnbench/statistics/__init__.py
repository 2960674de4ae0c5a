"""From samples to numbers, and from numbers to verdicts: arrays in, numbers out; no torch, no files."""

from attnbench.statistics.comparison import (
    MARGIN,
    Comparison,
    Verdict,
    compare_apart,
    compare_pairs,
    noise_floor,
    p_value_of_pairs,
    session_ratios,
    verdicts,
)
from attnbench.statistics.estimate import (
    LEAST_ROUNDS,
    Estimate,
    between_quartiles,
    mean_of_sessions,
    mean_with_deviation,
    median_with_interval,
    paired_ratio,
    ratios_of_pairs,
    session_spread,
    settling_rounds,
)
from attnbench.statistics.orders import Crossing, crossings, rank_correlation
from attnbench.statistics.scatter import Scatter, session_scatter

__all__ = [
    "LEAST_ROUNDS",
    "MARGIN",
    "Comparison",
    "Crossing",
    "Estimate",
    "Scatter",
    "Verdict",
    "between_quartiles",
    "compare_apart",
    "compare_pairs",
    "crossings",
    "mean_of_sessions",
    "mean_with_deviation",
    "median_with_interval",
    "noise_floor",
    "p_value_of_pairs",
    "paired_ratio",
    "rank_correlation",
    "ratios_of_pairs",
    "session_ratios",
    "session_scatter",
    "session_spread",
    "settling_rounds",
    "verdicts",
]
