"""Rows as lines with named columns, in files and texts for other programs.

Base units, the unit in the name; an interval has its ends in two columns more. A run's files can be made
again from its records.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from attnbench.analysis.crossover import Crossover
from attnbench.analysis.difference import Change
from attnbench.analysis.rows import Row
from attnbench.analysis.variant_matrix import Cell, VariantMatrix
from attnbench.errors import writing
from attnbench.records.codec import to_row
from attnbench.records.cost import Entry, Point
from attnbench.report.csv_text import csv_text
from attnbench.report.frame import estimate_cells, frame, row_line

TABLE = "table.csv"
CROSSOVERS = "crossovers.csv"
SHARED = ("device", "mode", "batch", "dim", "heads", "dtype", "kernel", "compile", "cuda_graph")
CHANGING = ("outcome", "params", "macs", "memory_bytes", "rounds", "sessions", "converged")
FLOPS = "flops.csv"
KERNELS = "kernels.csv"

CROSSOVER = ("faster_beyond", "slower_beyond", *estimate_cells("tokens_a_side", None), *SHARED)

Line = dict[str, object]


def write_table(rows: Sequence[Row], folder: Path) -> Path:
    """Write the rows to `table.csv` in the run's folder and return its path."""
    path = folder / TABLE
    with writing(path):
        path.write_text(table_csv(rows), encoding="utf-8")
    return path


def write_crossovers(crossovers: Sequence[Crossover], folder: Path) -> Path:
    """Write all crossovers to `crossovers.csv` in the run's folder and return its path."""
    path = folder / CROSSOVERS
    with writing(path):
        path.write_text(csv_text(map(crossover_line, crossovers), CROSSOVER), encoding="utf-8")
    return path


def write_matrices(matrices: Sequence[VariantMatrix], folder: Path) -> Path:
    """Write a line a mechanism and variant to `kernels.csv` in the run's folder and return its path."""
    path = folder / KERNELS
    with writing(path):
        path.write_text(matrices_csv(matrices), encoding="utf-8")
    return path


def write_flops(points: Sequence[Point], folder: Path) -> Path:
    """Write the points to `flops.csv` in a folder, which is made, and return its path."""
    path = folder / FLOPS
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(flops_csv(points), encoding="utf-8")
    return path


def table_csv(rows: Sequence[Row]) -> str:
    """The rows of a run as CSV."""
    return str(frame(rows).to_csv(index=False))


def changes_csv(changes: Sequence[Change]) -> str:
    """The cases of two runs as CSV."""
    return csv_text(map(change_line, changes))


def matrices_csv(matrices: Sequence[VariantMatrix]) -> str:
    """The mechanisms of a run in each variant as CSV."""
    return csv_text(matrix_line(matrix, cell) for matrix in matrices for cell in matrix.cells.values())


def registry_csv(entries: Sequence[Entry]) -> str:
    """Choices as CSV: exact counts, each branch's share and heads, and the published counts in millions."""
    lines = []
    for entry in entries:
        line, settings = entry_line(entry), entry.choice.settings
        if published := entry.published:
            line["published_params_m"] = f"{published.params_m:.2f}"
            line["published_flops_m"] = f"{published.flops_m:.1f}"
        line["settings"] = ",".join(f"{key}={value}" for key, value in settings.items())
        lines.append({**line, **_branch_cells(entry)})
    return csv_text(lines)


def flops_csv(points: Sequence[Point]) -> str:
    """Closed forms as CSV, a line a choice and size: exact counts, each branch's share and heads."""
    return csv_text({**point_line(point), **_branch_cells(point)} for point in points)


def entry_line(entry: Entry) -> Line:
    """What a choice is and costs, without its branches."""
    mechanism, published = entry.choice.mechanism, entry.published
    return {
        "label": entry.choice.label,
        "name": mechanism.name,
        "title": mechanism.title,
        "settings": entry.choice.settings,
        "params": entry.params,
        "macs": entry.macs,
        "published_params_m": published.params_m if published else None,
        "published_flops_m": published.flops_m if published else None,
    }


def point_line(point: Point) -> Line:
    """What a choice costs on a map, without its branches."""
    geometry = point.geometry
    return {
        "label": point.choice.label,
        "title": point.choice.title,
        "height": geometry.height,
        "width": geometry.width,
        "tokens": geometry.tokens,
        "dim": geometry.dim,
        "heads": geometry.heads,
        "macs": point.macs,
    }


def crossover_line(crossover: Crossover) -> Line:
    """Who is faster from which size on."""
    record = crossover.faster.record
    case = to_row(record.case)
    return {
        "faster_beyond": record.case.label,
        "slower_beyond": crossover.slower.record.case.label,
        **estimate_cells("tokens_a_side", crossover.side),
        **{name: case[name] for name in SHARED},
    }


def matrix_line(matrix: VariantMatrix, cell: Cell) -> Line:
    """What a variant makes of a mechanism."""
    record, timing = cell.row.record, cell.row.timing
    limit = timing.limit if timing else None
    case = to_row(record.case)
    return {
        "name": record.case.label,
        "title": record.case.title,
        **{name: case[name] for name in ("height", "width", *SHARED)},
        "outcome": record.outcome,
        **estimate_cells("imgs_per_s", timing.throughput if timing else None),
        "converged": timing.converged if timing else None,
        "reference": matrix.reference.brief,
        **estimate_cells("speed_vs_reference", cell.gain),
        **estimate_cells("fraction_of_limit", limit.fraction if limit else None),
        "limited_by": limit.by if limit else None,
        "best": record.case.variant == matrix.best(record.case.label),
    }


def change_line(change: Change) -> Line:
    """A case in two runs: what it is, how each run found it, and how many times as fast the later is."""
    record = change.after.record
    case = to_row(record.case)
    found: Line = {"name": record.case.label, "title": record.case.title}
    found |= {name: case[name] for name in ("height", "width", *SHARED)}
    for when, row in (("before", change.before), ("after", change.after)):
        line, timing = row_line(row), row.timing
        found |= {f"{name}_{when}": line[name] for name in CHANGING}
        found |= estimate_cells(f"time_s_{when}", timing.time_s if timing else None)
        found |= estimate_cells(f"imgs_per_s_{when}", timing.throughput if timing else None)
    return {
        **found,
        **estimate_cells("speed_vs_before", change.speed),
        "verdict": change.verdict,
        "control": change.control,
        "noise_floor": change.noise_floor,
    }


def _branch_cells(row: Entry | Point) -> Line:
    """`macs_hi_fi` and `heads_hi_fi` for a branch that is called Hi-Fi."""
    cells: Line = {}
    for branch in row.branches:
        name = re.sub(r"[^a-z]+", "_", branch.title.lower())
        cells |= {f"macs_{name}": branch.macs, f"heads_{name}": branch.heads}
    return cells
