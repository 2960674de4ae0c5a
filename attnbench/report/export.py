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
from attnbench.cases.labels import closest, did_you_mean
from attnbench.errors import AttnbenchError, writing
from attnbench.records.cost import Entry, Point
from attnbench.report.column import Column, Line
from attnbench.report.columns import LIMIT, THROUGHPUT, TIME, published_macs, published_params
from attnbench.report.csv_text import csv_text
from attnbench.report.data import case_line, cells_of, estimate_cells, names_of, row_line
from attnbench.report.fields import DEVICE, LIMITED_BY, SETTING, THREADS
from attnbench.report.table_style import Asked

TABLE = "table.csv"
CROSSOVERS = "crossovers.csv"
FLOPS = "flops.csv"
KERNELS = "kernels.csv"
CHANGING = ("outcome", "params", "macs", "memory_bytes", "rounds", "sessions", "converged", "impossible")
OVER_SIZES: tuple[Column, ...] = (DEVICE, *SETTING, THREADS)
CROSSOVER = ("faster_beyond", "slower_beyond", *estimate_cells("tokens_a_side", None), *names_of(OVER_SIZES))


def write_table(rows: Sequence[Row], folder: Path) -> Path:
    """Write the rows to `table.csv` in the run's folder and return its path."""
    return _written(folder / TABLE, table_csv(rows))


def write_crossovers(crossovers: Sequence[Crossover], folder: Path) -> Path:
    """Write all crossovers to `crossovers.csv` in the run's folder and return its path."""
    return _written(folder / CROSSOVERS, csv_text(map(crossover_line, crossovers), CROSSOVER))


def write_matrices(matrices: Sequence[VariantMatrix], folder: Path) -> Path:
    """Write a line a mechanism and variant to `kernels.csv` in the run's folder and return its path."""
    return _written(folder / KERNELS, matrices_csv(matrices))


def write_flops(points: Sequence[Point], folder: Path) -> Path:
    """Write the points to `flops.csv` in a folder, which is made, and return its path."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return _written(folder / FLOPS, flops_csv(points))


def table_csv(rows: Sequence[Row], columns: Sequence[Asked] = ()) -> str:
    """The rows of a run as CSV, in all columns or in those that are asked for."""
    if not columns:
        return csv_text(map(row_line, rows))
    return csv_text(
        {name: cell for each in columns for name, cell in each.cells(row).items()} for row in rows
    )


def changes_csv(changes: Sequence[Change]) -> str:
    """The cases of two runs as CSV."""
    return csv_text(map(change_line, changes))


def matrices_csv(matrices: Sequence[VariantMatrix]) -> str:
    """The mechanisms of a run in each variant as CSV."""
    return csv_text(matrix_line(matrix, cell) for matrix in matrices for cell in matrix.cells.values())


def registry_csv(entries: Sequence[Entry], columns: Sequence[str] = ()) -> str:
    """Choices as CSV, in all columns or in those of these names."""
    return csv_text(registry_lines(entries, columns), columns)


def registry_lines(entries: Sequence[Entry], columns: Sequence[str] = ()) -> list[Line]:
    """What choices are and cost: exact counts, the published ones, and each branch's share and heads.

    Where `columns` are named, lines have those alone, in their order, and nothing where a choice lacks one. A
    name that no line has is an `AttnbenchError`.
    """
    lines = [{**entry_line(entry), **_branch_cells(entry)} for entry in entries]
    known = dict.fromkeys(name for line in lines for name in line)
    for name in columns:
        if name not in known:
            near = did_you_mean(closest(name, known))
            raise AttnbenchError(
                f"No column of the registry is called {name!r}.{near} --columns can be {', '.join(known)}."
            )
    return [{name: line.get(name) for name in columns} for line in lines] if columns else lines


def flops_csv(points: Sequence[Point]) -> str:
    """Closed forms as CSV, a line a choice and size: exact counts, each branch's share and heads."""
    return csv_text({**point_line(point), **_branch_cells(point)} for point in points)


def entry_line(entry: Entry) -> Line:
    """What a choice is and costs, without its branches."""
    mechanism = entry.choice.mechanism
    return {
        "label": entry.choice.label,
        "mechanism": mechanism.name,
        "title": mechanism.title,
        "settings": entry.choice.settings,
        "family": mechanism.family or None,
        "venue": mechanism.paper.venue if mechanism.paper else None,
        "year": mechanism.paper.year if mechanism.paper else None,
        "params": entry.params,
        "params_published": published_params(entry.published),
        "macs": entry.macs,
        "macs_published": published_macs(entry.published),
        "uncounted": entry.uncounted,
    }


def point_line(point: Point) -> Line:
    """What a choice costs on a map, without its branches."""
    geometry = point.geometry
    return {
        "label": point.choice.label,
        "title": point.choice.title,
        "height": geometry.height,
        "width": geometry.width,
        "tokens": None if geometry.images else geometry.tokens,
        "dim": None if geometry.images else geometry.dim,
        "heads": None if geometry.images else geometry.heads,
        "macs": point.macs,
    }


def crossover_line(crossover: Crossover) -> Line:
    """Who is faster from which size on."""
    return {
        "faster_beyond": crossover.faster.record.case.label,
        "slower_beyond": crossover.slower.record.case.label,
        **estimate_cells("tokens_a_side", crossover.side),
        **cells_of(OVER_SIZES, crossover.faster),
    }


def matrix_line(matrix: VariantMatrix, cell: Cell) -> Line:
    """What a variant makes of a mechanism."""
    line = row_line(cell.row)
    variant, label = cell.row.record.case.variant, cell.row.record.case.label
    return {
        **case_line(cell.row),
        "outcome": line["outcome"],
        **estimate_cells("imgs_per_s", THROUGHPUT.estimate(cell.row)),
        "converged": line["converged"],
        "impossible": line["impossible"],
        "reference": matrix.reference.brief,
        **estimate_cells("speed_vs_reference", cell.gain),
        **cells_of((LIMIT, LIMITED_BY), cell.row),
        "best": variant == matrix.best(label),
    }


def change_line(change: Change) -> Line:
    """A case in two runs: what it is, how each run found it, and how many times as fast the later is."""
    found = case_line(change.after)
    for when, row in (("before", change.before), ("after", change.after)):
        line = row_line(row)
        found |= {f"{name}_{when}": line[name] for name in CHANGING}
        for column in (TIME, THROUGHPUT):
            found |= estimate_cells(f"{column.name}_{when}", column.estimate(row))
    return {
        **found,
        **estimate_cells("speed_vs_before", change.speed),
        "verdict": change.verdict,
        "control": change.control,
        "noise_floor": change.noise_floor,
    }


def _written(path: Path, text: str) -> Path:
    with writing(path):
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _branch_cells(row: Entry | Point) -> Line:
    """`macs_hi_fi` and `heads_hi_fi` for a branch that is called Hi-Fi."""
    cells: Line = {}
    for branch in row.branches:
        name = re.sub(r"[^a-z]+", "_", branch.title.lower())
        cells |= {f"macs_{name}": branch.macs, f"heads_{name}": branch.heads}
    return cells
