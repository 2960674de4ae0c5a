"""The one place that builds a data frame: rows as columns with units in their names."""

from collections.abc import Sequence

import pandas as pd

from attnbench.report.metrics import Row, published_ratio
from attnbench.statistics import Estimate


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One line a row, base units, counts exact; empty cells were not measured."""
    return pd.DataFrame([_line(row) for row in rows]).convert_dtypes()


def _line(row: Row) -> dict[str, object]:
    record, machine, timing = row.record, row.record.machine, row.timing
    return {
        "name": record.label,
        "title": record.title,
        "device": record.device,
        "height": record.height,
        "width": record.width,
        "dim": record.dim,
        "heads": record.heads,
        "batch": record.batch,
        "mode": record.mode,
        "dtype": record.dtype,
        "kernel": record.kernel,
        "threads": record.threads,
        "outcome": record.outcome,
        "reason": record.reason,
        "params": record.params,
        "macs": record.macs,
        "uncounted": " ".join(record.uncounted) or None,
        **_estimate("time_s", timing.time_s if timing else None),
        **_estimate("imgs_per_s", timing.throughput if timing else None),
        **_estimate("speed_vs_msa", timing.speed if timing else None),
        "rounds": timing.rounds if timing else 0,
        "sessions": timing.sessions if timing else 0,
        "published_params_m": row.published.params_m if row.published else None,
        "published_flops_m": row.published.flops_m if row.published else None,
        "published_imgs_per_s": row.published.imgs_per_s(record.device) if row.published else None,
        "published_speed_vs_msa": published_ratio(row),
        "processor": machine.processor(record.device),
        "torch": machine.torch,
        "attnbench": machine.attnbench,
        "started_at": record.started_at,
    }


def _estimate(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
