"""How far an order of throughputs is the paper's."""

from collections.abc import Sequence
from dataclasses import dataclass

from attnbench.analysis.rows import Row, grouped, measured
from attnbench.cases.variant import Variant
from attnbench.statistics import rank_correlation


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's τ between our order and the paper's of so many mechanisms, on a device and in a variant."""

    device: str
    variant: Variant
    mechanisms: int
    kendall_tau: float


def agreements(rows: Sequence[Row]) -> list[Agreement]:
    """One for each device and variant with several mechanisms of the paper's table."""
    by_group = []
    for together in grouped(measured(rows), lambda row: (row.device, row.record.case.variant)):
        device, variant = together[0].device, together[0].record.case.variant
        pairs = [
            (row.timing.throughput.value, row.published.imgs_per_s(device))
            for row in together
            if row.published
        ]
        if len(pairs) > 1:
            tau = rank_correlation(*zip(*pairs, strict=True))
            by_group.append(Agreement(device, variant, len(pairs), tau))
    return by_group
