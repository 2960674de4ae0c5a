"""What the layers in a model's slots have to do with its speed: their share of its work, and of its time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from attnbench.analysis.rows import Measured, Row, believed, identity
from attnbench.cases.models import mixing_macs

Alone = Mapping[tuple[object, ...], Measured]
"""Rows by what they stand for, layers that were timed alone among them."""


@dataclass(frozen=True, slots=True)
class Expected:
    """How many times as fast as its baseline a model would be, if its layers' times alone told them apart."""

    row: Measured
    baseline: Measured
    speed: float


def share_of_work(row: Row) -> float | None:
    """The share of a model's multiply-adds that is its mixers'; None of what is no model with slots."""
    cost = row.record.cost
    if cost is None or not cost.mixing or not cost.macs:
        return None
    macs = mixing_macs(cost.mixing)
    return None if macs is None else macs / cost.macs


def expected(rows: Sequence[Row]) -> list[Expected]:
    """The models whose layers, and whose baseline's, were timed alone too, at the same sizes and batch.

    None where the baseline's layers alone took longer than all of it: what it does besides is not known then.
    """
    alone = {identity(row.record): row for row in believed(rows)}
    found = []
    for row in believed(rows):
        if row.timing.baseline is None or not row.timing.speed:
            continue
        case = replace(row.record.case, label=row.timing.baseline)
        base = alone.get(identity(replace(row.record, case=case)))
        if base is None:
            continue
        ours_s, theirs_s = (_mixing_s(each, alone) for each in (row, base))
        base_s = base.timing.time_s.value
        if ours_s is not None and theirs_s is not None and theirs_s < base_s:
            found.append(Expected(row, base, base_s / (base_s - theirs_s + ours_s)))
    return found


def _mixing_s(row: Row, alone: Alone) -> float | None:
    """What the layers in a model's slots take, timed alone; None where one of them was not."""
    cost = row.record.cost
    if cost is None or not cost.mixing:
        return None
    seconds = 0.0
    for each in cost.mixing:
        workload = replace(row.record.case.workload, geometry=each.geometry)
        case = replace(row.record.case, label=each.label, workload=workload)
        layer = alone.get(identity(replace(row.record, case=case)))
        if layer is None:
            return None
        seconds += each.layers * layer.timing.time_s.value
    return seconds
