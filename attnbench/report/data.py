"""What programs read of a row, in one schema: CSV, JSON and data frames are projections of its lines.

Base units, the unit in the name. An interval's ends are `x_low` and `x_high` beside `x`, the paper's value is
`x_published`. None is what was not measured.
"""

from statistics import fmean

from attnbench.analysis.rows import Row
from attnbench.records.codec import to_row
from attnbench.records.record import Record
from attnbench.report.columns import (
    ENERGY,
    FLOPS,
    IDLE_POWER,
    LIMIT,
    MEMORY,
    PARAMS,
    POWER,
    SPEED,
    THROUGHPUT,
    TIME,
    Quantity,
)
from attnbench.statistics import Estimate

Line = dict[str, object]
SETTING = ("height", "width", "dim", "heads", "batch", "mode", "dtype", "kernel", "compile", "cuda_graph")
CASE = ("label", "mechanism", "title", "settings", "device", *SETTING)


def row_line(row: Row) -> Line:
    """All that is known of a row, by name."""
    record, machine = row.record, row.record.conditions.machine
    return {
        **case_line(record),
        "outcome": record.outcome,
        "reason": record.reason,
        **_costs(row),
        **_times(row),
        **quantity_cells(ENERGY, row),
        **quantity_cells(POWER, row),
        **quantity_cells(IDLE_POWER, row),
        "processor": machine.processor(record.case.device),
        "torch": machine.torch,
        "attnbench": machine.attnbench,
        "started_at": record.conditions.started_at,
    }


def case_line(record: Record) -> Line:
    """What tells a record from all others of its run."""
    case = to_row(record.case)
    return {**{name: case[name] for name in CASE}, "threads": record.conditions.threads}


def quantity_cells(column: Quantity, row: Row) -> Line:
    """A column's value under its name, the ends of its interval, and the paper's value beside it."""
    found = column.estimate(row)
    values = {
        "": found.value if found else None,
        "_low": found.low if found else None,
        "_high": found.high if found else None,
        "_published": column.published(row),
    }
    return {f"{column.name}{end}": values[end] for end in column.ends}


def estimate_cells(name: str, estimate: Estimate | None) -> Line:
    """A value under this name, and the ends of its interval."""
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _costs(row: Row) -> Line:
    """Counts and memory, what was expected of them, and how exact a variant is."""
    record, memory, prediction, check = row.record, row.record.memory, row.record.prediction, row.record.check
    return {
        **quantity_cells(PARAMS, row),
        **quantity_cells(FLOPS, row),
        "macs_closed_form": record.macs_closed_form,
        "uncounted": record.uncounted,
        "least_bytes": record.least_bytes,
        **quantity_cells(MEMORY, row),
        "memory_entry_bytes": memory.entry_bytes if memory else None,
        "memory_scope": memory.scope if memory else None,
        "memory_reserved_bytes": memory.reserved_bytes if memory else None,
        "memory_process_bytes": memory.process_bytes if memory else None,
        "predicted_bytes": record.predicted_bytes,
        "available_bytes": prediction.available_bytes if prediction else None,
        "relative_error": check.relative_error if check else None,
        "preparation_s": check.preparation_s if check else None,
    }


def _times(row: Row) -> Line:
    """Speeds and verdicts, and how much they rest on."""
    record, timing = row.record, row.timing
    limit = timing.limit if timing else None
    return {
        **quantity_cells(TIME, row),
        **quantity_cells(THROUGHPUT, row),
        "baseline": timing.baseline if timing else None,
        **quantity_cells(SPEED, row),
        "verdict": timing.verdict if timing else None,
        **quantity_cells(LIMIT, row),
        "limited_by": limit.by if limit else None,
        "noise_floor": timing.noise_floor if timing else None,
        "rounds": timing.rounds if timing else 0,
        "sessions": timing.sessions if timing else 0,
        "session_spread": timing.session_spread if timing else None,
        "precision": record.conditions.protocol.precision,
        "converged": timing.converged if timing else None,
        "host_paced": fmean(sample.host_paced for sample in record.samples) if timing else None,
        "backends": record.backends,
    }
