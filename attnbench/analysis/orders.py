"""Orders of mechanisms by throughput, and how far two of them are the same: Kendall's τ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attnbench.analysis.rows import Row, believed, grouped, place
from attnbench.cases.variant import Variant
from attnbench.statistics import rank_correlation

Order = Mapping[str, float]
"""Throughput by label."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's τ between our order and the paper's of so many mechanisms, on a device and in a variant.

    `threads` are those of the rows, where a run has several numbers of them.
    """

    device: str
    variant: Variant
    mechanisms: int
    kendall_tau: float
    threads: int | None = None


def correlation(ours: Order, theirs: Order) -> float | None:
    """Kendall's τ between two orders of the mechanisms that are in both; None with fewer than two."""
    both = [label for label in ours if label in theirs]
    if len(both) < 2:
        return None
    return rank_correlation([ours[label] for label in both], [theirs[label] for label in both])


def agreements(rows: Sequence[Row]) -> list[Agreement]:
    """One for each device, kind of machine, variant and number of threads with several of its mechanisms."""
    by_group = []
    for together in grouped(believed(rows), lambda row: (place(row), row.record.case.variant, row.threads)):
        device, variant = together[0].device, together[0].record.case.variant
        ours = {row.record.case.label: row.timing.throughput.value for row in together}
        theirs = {
            row.record.case.label: number
            for row in together
            if row.published and (number := row.published.imgs_per_s(device))
        }
        if (tau := correlation(ours, theirs)) is not None:
            by_group.append(Agreement(device, variant, len(theirs), tau, together[0].threads))
    return by_group
