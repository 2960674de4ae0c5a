"""The samples that a row's estimates are medians of, round by round and in base units."""

import numpy as np
from numpy.typing import NDArray

from attnbench.analysis.block import seconds_of
from attnbench.analysis.rows import Row
from attnbench.records.rounds import all_rounds, ratios

Samples = NDArray[np.float64]
"""`[rounds]`, or `[rounds, samples]` where a round has several."""


def seconds(row: Row) -> Samples | None:
    """The time of a call in every sample; None where nothing was measured."""
    return all_rounds(seconds_of(row.record))[0] if row.timing else None


def throughputs(row: Row) -> Samples | None:
    """Images per second in every sample."""
    times_s = seconds(row)
    return None if times_s is None else row.record.case.workload.batch / times_s


def speeds(row: Row) -> Samples | None:
    """The baseline's time over the row's own in each round that has both; None for the baseline itself."""
    if row.timing is None or row.timing.speed is None or row.timing.beside is None:
        return None
    return ratios(seconds_of(row.timing.beside), seconds_of(row.record))[0]


def shares_of_limit(row: Row) -> Samples | None:
    """The share of this machine's limit that is reached, in each round."""
    limit = row.timing.limit if row.timing else None
    return np.array(limit.shares) if limit else None
