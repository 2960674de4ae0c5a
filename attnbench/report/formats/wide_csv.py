"""CSV in Table IV's shape: a line a mechanism and setting, a group of columns for each run and device."""

import re
from collections.abc import Sequence

from attnbench.report.columns import Column
from attnbench.report.csv_text import csv_text
from attnbench.report.formats.cells import number_cells, setting_cells, verdict_cells
from attnbench.report.metrics import Row
from attnbench.report.runs import Run
from attnbench.report.sheet import COUNTS, SPEEDS, Line, Sheet, sheets

UNITS = {"M": "_m", "MiB": "_mib"}  # those that a column's name does not tell


def wide_csv(runs: Sequence[Run]) -> str:
    """Counts, then memory, throughput and speed-up of each group with intervals, verdict and outcome.

    The columns of a group begin with its heading: `cpu_imgs_per_s`. Those of the paper end in `published`.
    Columns that no line has are left out.
    """
    lines = [_line(sheet, line) for sheet in sheets(runs) for line in sheet.lines]
    known = {name for line in lines for name, cell in line.items() if cell is not None}
    return csv_text([{name: cell for name, cell in line.items() if name in known} for line in lines])


def _line(sheet: Sheet, line: Line) -> dict[str, object]:
    first = line.counted
    cells: dict[str, object] = {"label": first.record.label, "title": line.title, **setting_cells(first)}
    for column in COUNTS:
        cells |= _numbers("", column, first)
    for group, row in zip(sheet.groups, line.rows, strict=True):
        if row:
            cells |= _group(re.sub(r"\W+", "_", group.heading).lower(), row)
    return cells


def _group(heading: str, row: Row) -> dict[str, object]:
    cells: dict[str, object] = {}
    for column in SPEEDS:
        cells |= _numbers(f"{heading}_", column, row)
    return cells | {f"{heading}_{name}": cell for name, cell in verdict_cells(row).items()}


def _numbers(prefix: str, column: Column, row: Row) -> dict[str, object]:
    name = f"{prefix}{column.name}{UNITS.get(column.unit, '')}"
    cells = number_cells(column, row)
    return {name if end == "value" else f"{name}_{end}": cell for end, cell in cells.items()}
