"""CSV in Table IV's shape: a line a mechanism and setting, a group of columns for each run and device."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from attnbench.analysis.rows import Row
from attnbench.analysis.runs import Run
from attnbench.report.columns import Column
from attnbench.report.csv_text import csv_text
from attnbench.report.formats.cells import number_cells, setting_cells, verdict_cells
from attnbench.report.paper_table import COUNTS, SPEEDS, Line, PaperTable, paper_tables

UNITS = {"M": "_m", "MiB": "_mib"}  # those that a column's name does not tell


def wide_csv(runs: Sequence[Run]) -> str:
    """Counts, then memory, throughput and speed-up of each group with intervals, verdict and outcome.

    The columns of a group begin with its heading: `cpu_imgs_per_s`. Those of the paper end in `published`.
    Columns that no line has are left out.
    """
    found = paper_tables(runs)
    prefixes = _prefixes([group.heading for paper_table in found for group in paper_table.groups])
    lines = [_line(paper_table, line, prefixes) for paper_table in found for line in paper_table.lines]
    known = {name for line in lines for name, cell in line.items() if cell is not None}
    return csv_text([{name: cell for name, cell in line.items() if name in known} for line in lines])


def _prefixes(headings: Sequence[str]) -> dict[str, str]:
    """How the columns of groups begin: headings in letters, digits and `_`, the second alike with `_2`."""
    prefixes: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for heading in dict.fromkeys(headings):
        word = re.sub(r"\W+", "_", heading).lower()
        taken[word] += 1
        prefixes[heading] = f"{word}_{taken[word]}" if taken[word] > 1 else word
    return prefixes


def _line(paper_table: PaperTable, line: Line, prefixes: Mapping[str, str]) -> dict[str, object]:
    first = line.counted
    cells: dict[str, object] = {"label": first.record.case.label, "title": line.title, **setting_cells(first)}
    for column in COUNTS:
        cells |= _numbers("", column, first)
    for group, row in zip(paper_table.groups, line.rows, strict=True):
        if row:
            cells |= _group(prefixes[group.heading], row)
    return cells


def _group(prefix: str, row: Row) -> dict[str, object]:
    cells: dict[str, object] = {}
    for column in SPEEDS:
        cells |= _numbers(f"{prefix}_", column, row)
    return cells | {f"{prefix}_{name}": cell for name, cell in verdict_cells(row).items()}


def _numbers(prefix: str, column: Column, row: Row) -> dict[str, object]:
    name = f"{prefix}{column.name}{UNITS.get(column.unit, '')}"
    cells = number_cells(column, row)
    return {name if end == "value" else f"{name}_{end}": cell for end, cell in cells.items()}
