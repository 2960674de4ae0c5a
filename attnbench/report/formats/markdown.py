"""Markdown: a table in Table IV's shape for each setting, as GitHub shows it, with its caption below."""

import re
from collections.abc import Sequence

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row, measured
from attnbench.report.caption import caption, has_interval, sentence, verdicts
from attnbench.report.column import Standing
from attnbench.report.columns import SPEED
from attnbench.report.convergence import unclear_notes
from attnbench.report.fields import VERDICT
from attnbench.report.paper_table import Field, PaperTable, paper_tables
from attnbench.report.table_style import STYLE, TableStyle
from attnbench.report.text_column import TextColumn
from attnbench.words import NOTHING, visible

STYLES = {Standing.best: "**{}**", Standing.second: "*{}*", None: "{}"}
LEGEND = "Bold = best, italic = second best of a column."


def markdown(runs: Sequence[Analysis], style: TableStyle = STYLE) -> str:
    """The best value of a column is bold, the next one italic; a verdict stands behind each speed-up."""
    return "\n".join(map(_table, paper_tables(runs, style)))


def _table(paper_table: PaperTable) -> str:
    columns = [["Mechanism", *(_plain(line.name) for line in paper_table.lines)]]
    columns += [_column(paper_table, field) for field in paper_table.all_fields]
    widths = [max(map(len, column)) for column in columns]
    rule = [f":{'-' * (widths[0] - 1)}", *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    heading, *lines = (
        [cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]
        for cells in zip(*columns, strict=True)
    )
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in (heading, rule, *lines))
    timings = [row.timing for row in measured(paper_table.rows)]
    judged = paper_table.style.shows(VERDICT)
    said = [sentence(verdicts(timings))] if timings and judged else []
    why = [sentence(line) for line in unclear_notes(paper_table.rows) if judged]
    told = [*map(_plain, [*caption(paper_table), *why]), LEGEND, *said]
    if paper_table.style.bare:
        told = told[:1]
    return f"{table}\n{' '.join(told)}\n"


def _column(paper_table: PaperTable, field: Field) -> list[str]:
    rows = [field.row(line) for line in paper_table.lines]
    if field.is_paper:
        return ["paper", *(field.column.published_text(row) if row else "" for row in rows)]
    indices = paper_table.standings(field)
    return [_heading(paper_table, field), *(_cell(field, *cell) for cell in zip(rows, indices, strict=True))]


def _heading(paper_table: PaperTable, field: Field) -> str:
    column = field.column
    if field.index is None or isinstance(column, TextColumn):
        return _plain(column.heading)
    group = paper_table.groups[field.index]
    title = f"× {_plain(group.baselines)}" if column.name == SPEED.name else column.heading
    has_intervals = any(row and has_interval(column.estimate(row)) for row in group.rows)
    spread = f" {column.spread.heading}" if column.decimals is None and has_intervals else ""
    return f"{_plain(group.heading)}: {title}{spread}" if len(paper_table.groups) > 1 else f"{title}{spread}"


def _cell(field: Field, row: Row | None, index: Standing | None) -> str:
    found = field.column.shown(row) if row else None
    if row is None or found is None:
        return field.column.missing(row) if row else NOTHING
    if isinstance(field.column, TextColumn):
        return _plain(found.value)
    value = STYLES[index].format(found.value)
    return f"{field.column.mark(row)}{value}{found.interval_text}"


def _plain(text: str) -> str:
    """A text of one line of which Markdown takes nothing for its own."""
    return re.sub(r"([\\|*_<>`~\[\]])", r"\\\1", visible(" ".join(text.splitlines())))
