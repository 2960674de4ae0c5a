"""What programs read of a row: which case it is, its numbers at full precision, and what became of it."""

from attnbench.analysis.rows import Row
from attnbench.records.codec import to_row
from attnbench.report.columns import COLUMNS, Column

SETTING = ("height", "width", "dim", "heads", "batch", "mode", "dtype", "kernel", "compile", "cuda_graph")


def case_cells(row: Row) -> dict[str, object]:
    """What tells a row from all others of its run, and where it was measured."""
    record, machine = row.record, row.record.conditions.machine
    return {
        "label": record.case.label,
        "title": record.case.title,
        "device": record.case.device,
        **setting_cells(row),
        "threads": record.conditions.threads,
        "processor": machine.processor(record.case.device),
        "torch": machine.torch,
    }


def setting_cells(row: Row) -> dict[str, object]:
    """What the rows of one table share."""
    case = to_row(row.record.case)
    return {name: case[name] for name in SETTING}


def number_cells(column: Column, row: Row) -> dict[str, float | None]:
    """A column's value in its unit, the ends of its interval, and the paper's value."""
    found = column.estimate(row)
    return {
        "value": found.value if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "published": column.published(row),
    }


def verdict_cells(row: Row) -> dict[str, object]:
    """What a row is compared with, what may be said of it, and what became of it."""
    timing = row.timing
    return {
        "baseline": timing.baseline if timing else None,
        "verdict": timing.verdict if timing else None,
        "outcome": row.record.outcome,
        "reason": row.record.reason,
    }


def protocol_cells(row: Row) -> dict[str, object]:
    """How much was measured, how noisy it was, and whether it is as precise as was asked."""
    timing = row.timing
    return {
        "noise_floor": timing.noise_floor if timing else None,
        "rounds": timing.rounds if timing else 0,
        "sessions": timing.sessions if timing else 0,
        "converged": timing.converged if timing else None,
    }


def told(row: Row) -> list[Column]:
    """The columns that have something to say of a row: a number, or what became of it."""
    return [column for column in COLUMNS if column.estimate(row) or (column.tells_outcome and not row.timing)]
