"""The one place that builds a data frame: rows as columns with units in their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnbench.analysis.rows import Row, published_ratio
from attnbench.statistics import Estimate

if TYPE_CHECKING:
    import pandas as pd


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One line a row, base units, counts exact; empty cells were not measured."""
    import pandas as pd

    return pd.DataFrame([row_line(row) for row in rows]).convert_dtypes()


def row_line(row: Row) -> dict[str, object]:
    """What a row comes to, by column."""
    memory = row.record.memory
    record, machine, timing = row.record, row.record.conditions.machine, row.timing
    limit = timing.limit if timing else None
    return {
        "name": record.case.label,
        "title": record.case.title,
        "device": record.case.device,
        "height": record.case.workload.geometry.height,
        "width": record.case.workload.geometry.width,
        "dim": record.case.workload.geometry.dim,
        "heads": record.case.workload.geometry.heads,
        "batch": record.case.workload.batch,
        "mode": record.case.workload.mode,
        "dtype": record.case.variant.dtype,
        "kernel": record.case.variant.kernel,
        "compile": record.case.variant.compile,
        "cuda_graph": record.case.variant.cuda_graph,
        "threads": record.conditions.threads,
        "outcome": record.outcome,
        "reason": record.reason,
        "params": record.params,
        "macs": record.macs,
        "least_bytes": record.least_bytes,
        "macs_closed_form": record.macs_closed_form,
        "predicted_bytes": record.predicted_bytes,
        "available_bytes": record.prediction.available_bytes if record.prediction else None,
        "relative_error": record.check.relative_error if record.check else None,
        "preparation_s": record.check.preparation_s if record.check else None,
        "memory_bytes": memory.peak_bytes if memory else None,
        "memory_entry_bytes": memory.entry_bytes if memory else None,
        "memory_scope": memory.scope if memory else None,
        "memory_reserved_bytes": memory.reserved_bytes if memory else None,
        "memory_process_bytes": memory.process_bytes if memory else None,
        "uncounted": " ".join(record.uncounted) or None,
        **estimate_cells("time_s", timing.time_s if timing else None),
        **estimate_cells("imgs_per_s", timing.throughput if timing else None),
        "baseline": timing.baseline if timing else None,
        **estimate_cells("speed_vs_baseline", timing.speed if timing else None),
        "verdict": timing.verdict if timing else None,
        "noise_floor": timing.noise_floor if timing else None,
        "rounds": timing.rounds if timing else 0,
        "sessions": timing.sessions if timing else 0,
        "session_spread": timing.session_spread if timing else None,
        "precision": record.conditions.protocol.precision,
        "converged": timing.converged if timing else None,
        **estimate_cells("fraction_of_limit", limit.fraction if limit else None),
        "limited_by": limit.by if limit else None,
        "published_params_m": row.published.params_m if row.published else None,
        "published_flops_m": row.published.flops_m if row.published else None,
        "published_imgs_per_s": row.published.imgs_per_s(record.case.device) if row.published else None,
        "published_speed_vs_baseline": published_ratio(row),
        "processor": machine.processor(record.case.device),
        "torch": machine.torch,
        "attnbench": machine.attnbench,
        "started_at": record.conditions.started_at,
    }


def estimate_cells(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    """A column of this name and those of its interval's ends."""
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
