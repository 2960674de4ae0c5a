"""Orders of mechanisms by throughput, and how far two of them are the same: Kendall's τ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attnbench.analysis.rows import Row, believed, grouped
from attnbench.cases.variant import Variant
from attnbench.statistics import rank_correlation

Order = Mapping[str, float]
"""Throughput by label."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's τ between our order and the paper's of so many mechanisms, on a device and in a variant."""

    device: str
    variant: Variant
    mechanisms: int
    kendall_tau: float


def correlation(ours: Order, theirs: Order) -> float | None:
    """Kendall's τ between two orders of the mechanisms that are in both; None with fewer than two."""
    both = [label for label in ours if label in theirs]
    if len(both) < 2:
        return None
    return rank_correlation([ours[label] for label in both], [theirs[label] for label in both])


def agreements(rows: Sequence[Row]) -> list[Agreement]:
    """One for each device and variant of a machine with several mechanisms of the paper's table."""
    by_group = []
    for together in grouped(believed(rows), _device_and_variant):
        device, variant = together[0].device, together[0].record.case.variant
        ours = {row.record.case.label: row.timing.throughput.value for row in together}
        theirs = {
            row.record.case.label: row.published.imgs_per_s(device) for row in together if row.published
        }
        if (tau := correlation(ours, theirs)) is not None:
            by_group.append(Agreement(device, variant, len(theirs), tau))
    return by_group


def _device_and_variant(row: Row) -> object:
    return row.device, row.record.case.variant, row.record.machine_kind
