"""CSV in Table IV's shape: a line a mechanism and setting, a group of columns for each run and device."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row
from attnbench.report.column import Column, View
from attnbench.report.column import Line as Cells
from attnbench.report.columns import seen_in
from attnbench.report.csv_text import csv_text
from attnbench.report.data import cells_of
from attnbench.report.fields import BASELINE, LAYER, OUTCOME, SETTING, SIZE, THREADS, VERDICT
from attnbench.report.paper_table import Line, PaperTable, paper_tables
from attnbench.report.table_style import STYLE, Asked, TableStyle

SHARED: tuple[Column, ...] = (*LAYER, *SIZE, *SETTING, *seen_in(View.wide, of_layer=True))
OF_A_GROUP: tuple[Column, ...] = (*seen_in(View.wide, of_layer=False), BASELINE, VERDICT, THREADS, *OUTCOME)


def wide_csv(runs: Sequence[Analysis], style: TableStyle = STYLE) -> str:
    """Counts, then memory, throughput, speed-up and energy of each group, with its verdict and outcome.

    The columns of a group begin with its heading: `cpu_imgs_per_s`. Columns that no line has are left out.
    """
    found = paper_tables(runs, replace(style, pivot=False))
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


def _line(paper_table: PaperTable, line: Line, prefixes: Mapping[str, str]) -> Cells:
    """The rows of a mechanism, pivoted: its groups beside each other."""
    asked = paper_table.style.columns
    shared = [each for each in asked if each.column.of_layer]
    mine = [each for each in asked if not each.column.of_layer]
    cells = _cells(shared, line.counted) if asked else cells_of(SHARED, line.counted)
    if not asked or "title" in cells:
        cells["title"] = line.title
    for group, row in zip(paper_table.groups, line.rows, strict=True):
        if row:
            of_group = _cells(mine, row) if asked else cells_of(OF_A_GROUP, row)
            cells |= {f"{prefixes[group.heading]}_{name}": value for name, value in of_group.items()}
    return cells


def _cells(asked: Sequence[Asked], row: Row) -> Cells:
    """What a row has in the columns that were asked for."""
    return {name: cell for each in asked for name, cell in each.cells(row).items()}
