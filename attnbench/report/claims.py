"""What the paper says about single layers, beside what was measured."""

from collections.abc import Iterable

from attnbench.paper import Claim
from attnbench.report.metrics import Row, compared, measured
from attnbench.statistics import Estimate


def speed_of(faster: str, slower: str, device: str, table: Iterable[Row]) -> Estimate | None:
    """How many times as fast one mechanism is as another in rows of one setting; None = not measured."""
    found = {row.record.label: row.record for row in measured(table) if row.device == device}
    if faster not in found or slower not in found:
        return None
    comparison = compared(found[faster], found[slower])
    return comparison.ratio if comparison else None


def judge(claim: Claim, ours: Estimate | None) -> str:
    """Whether the claimed ratio is reached: by the whole interval, by part of it, or by none of it."""
    if ours is None:
        return "not measured in this run"
    low, high = ours.low or ours.value, ours.high or ours.value
    if low >= claim.ratio:
        return "holds"
    if high >= claim.ratio:
        return "unclear"
    return "faster, but by less" if low > 1 else "does not hold"
