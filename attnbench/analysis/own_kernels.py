"""Layers that ask for torch's fused attention by themselves: a run's kernel is not theirs."""

from collections.abc import Iterable
from dataclasses import replace

from attnbench.analysis.rows import Row
from attnbench.cases.variant import PLAIN


def has_own_kernel(row: Row) -> bool:
    """Whether torch's fused attention ran in a layer that was told to compute its own explicitly."""
    return row.record.case.variant.kernel == PLAIN.kernel and bool(row.record.backends)


def repeats(row: Row, others: Iterable[Row]) -> bool:
    """Whether a layer did in one of the others what it does in this row, whose kernel alone is another.

    It does where one of the rows tells that its kernel is its own, and where both count the same operators
    and ran as the same back-ends: a layer may have attention of both kinds.
    """
    return any(
        (has_own_kernel(row) or has_own_kernel(other)) and _signature(row) == _signature(other)
        for other in others
    )


def _signature(row: Row) -> tuple[object, ...]:
    """What a row's layer did, as far as it is known, and how it was run but for the kernel."""
    record = row.record
    operators = record.cost.macs_by_operator if record.cost else {}
    others = replace(record.case.variant, kernel=PLAIN.kernel)
    return (record.case.label, others, record.backends, sorted(operators.items()))
