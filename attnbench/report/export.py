"""Files and texts for other programs; a run's can be made again from its records."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from attnbench.catalogue import Entry, Point
from attnbench.errors import writing
from attnbench.report.crossover import Crossover
from attnbench.report.csv_text import csv_text
from attnbench.report.frame import estimate_cells, frame
from attnbench.report.ledger import Cell, Ledger
from attnbench.report.metrics import Row

TABLE = "table.csv"
CROSSOVERS = "crossovers.csv"
SHARED = ("device", "mode", "batch", "dim", "heads", "dtype", "kernel", "compile", "cuda_graph")
FLOPS = "flops.csv"
KERNELS = "kernels.csv"


def write_table(rows: Sequence[Row], folder: Path) -> Path:
    """Write the rows to `table.csv` in the run's folder and return its path."""
    path = folder / TABLE
    with writing(path):
        frame(rows).to_csv(path, index=False)
    return path


def write_crossovers(crossovers: Sequence[Crossover], folder: Path) -> Path:
    """Write all crossovers to `crossovers.csv` in the run's folder and return its path."""
    path = folder / CROSSOVERS
    size = ["tokens_a_side", "tokens_a_side_low", "tokens_a_side_high"]
    with writing(path), path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["faster_beyond", "slower_beyond", *size, *SHARED])
        for each in crossovers:
            names = each.faster.record.label, each.slower.record.label
            shared = (getattr(each.faster.record, name) for name in SHARED)
            writer.writerow([*names, each.side.value, each.side.low, each.side.high, *shared])
    return path


def write_ledgers(ledgers: Sequence[Ledger], folder: Path) -> Path:
    """Write a line a mechanism and variant to `kernels.csv` in the run's folder and return its path."""
    path = folder / KERNELS
    with writing(path):
        lines = [_ledger_line(ledger, cell) for ledger in ledgers for cell in ledger.cells.values()]
        path.write_text(csv_text(lines), encoding="utf-8")
    return path


def write_flops(points: Sequence[Point], folder: Path) -> Path:
    """Write the points to `flops.csv` in a folder, which is made, and return its path."""
    path = folder / FLOPS
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(flops_csv(points), encoding="utf-8")
    return path


def registry_csv(entries: Sequence[Entry]) -> str:
    """Choices as CSV: exact counts, each branch's share and heads, and the published counts in millions."""
    lines: list[dict[str, object]] = []
    for entry in entries:
        mechanism, published = entry.choice.mechanism, entry.published
        lines.append(
            {
                "label": entry.choice.label,
                "name": mechanism.name,
                "title": mechanism.title,
                "settings": ",".join(f"{key}={value}" for key, value in entry.choice.settings.items()),
                "params": entry.params,
                "macs": entry.macs,
                "published_params_m": f"{published.params_m:.2f}" if published else None,
                "published_flops_m": f"{published.flops_m:.1f}" if published else None,
                **_branch_cells(entry),
            }
        )
    return csv_text(lines)


def flops_csv(points: Sequence[Point]) -> str:
    """Closed forms as CSV, a line a choice and size: exact counts, each branch's share and heads."""
    return csv_text(
        [
            {
                "label": point.choice.label,
                "title": point.choice.title,
                "height": point.geometry.height,
                "width": point.geometry.width,
                "tokens": point.geometry.tokens,
                "dim": point.geometry.dim,
                "heads": point.geometry.heads,
                "macs": point.macs,
                **_branch_cells(point),
            }
            for point in points
        ]
    )


def _ledger_line(ledger: Ledger, cell: Cell) -> dict[str, object]:
    record, timing = cell.row.record, cell.row.timing
    limit = timing.limit if timing else None
    return {
        "name": record.label,
        "title": record.title,
        **{name: getattr(record, name) for name in ("height", "width", *SHARED)},
        "outcome": record.outcome,
        **estimate_cells("imgs_per_s", timing.throughput if timing else None),
        "converged": timing.converged if timing else None,
        "reference": ledger.reference.brief,
        **estimate_cells("speed_vs_reference", cell.gain),
        **estimate_cells("fraction_of_limit", limit.fraction if limit else None),
        "limited_by": limit.by if limit else None,
        "best": record.variant == ledger.best(record.label),
    }


def _branch_cells(row: Entry | Point) -> dict[str, object]:
    """`macs_hi_fi` and `heads_hi_fi` for a branch that is called Hi-Fi."""
    cells: dict[str, object] = {}
    for branch in row.branches:
        name = re.sub(r"[^a-z]+", "_", branch.title.lower())
        cells |= {f"macs_{name}": branch.macs, f"heads_{name}": branch.heads}
    return cells
