"""Tables for the terminal."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from attnbench.analysis.difference import Change
from attnbench.analysis.rows import Row, measured
from attnbench.records.cost import CheckResult, Entry
from attnbench.report.caption import CONVENTION, facts, how_measured, verdicts, what_marks_mean
from attnbench.report.column import Quantity, named
from attnbench.report.columns import (
    FLOPS,
    LIMIT,
    MEMORY,
    PARAMS,
    SPEED,
    THROUGHPUT,
    THROUGHPUT_ALONE,
    TIME,
)
from attnbench.report.digits import estimated, millions
from attnbench.report.fields import VERDICT
from attnbench.report.paper_table import Field, PaperTable, one_table
from attnbench.report.spread import Spread
from attnbench.report.table_style import STYLE, TableStyle
from attnbench.report.terminal.costs import (
    MECHANISM,
    bound,
    exact,
    paper_column,
    printed,
    settings_of,
    venue_of,
)
from attnbench.report.terminal.grid import Grid, GridColumn
from attnbench.report.text_column import TextColumn
from attnbench.statistics import Verdict
from attnbench.words import NOTHING

COLOURS: dict[str, str] = {Verdict.faster: "green", Verdict.slower: "red"}
OTHERS = 2
DROP_ORDER = {
    PARAMS.name: 4,
    FLOPS.name: 5,
    MEMORY.name: 3,
    THROUGHPUT.name: 6,
    TIME.name: 6,
    SPEED.name: 0,
    VERDICT.name: 0,
}
MARKS = {True: "✓", False: "✗", None: "–"}


def result_table(rows: Sequence[Row], style: TableStyle = STYLE) -> Grid:
    """Table IV for the rows of one size: ours on each device, the published figures beside them, verdicts.

    The paper's columns are left out where no row is in the paper's setting.
    """
    return joined_table(one_table(rows, style))


def joined_table(table: PaperTable) -> Grid:
    """A line a mechanism, and a group of columns for each device or run; all columns that were asked for."""
    columns = [
        GridColumn(MECHANISM, [line.name for line in table.lines], wraps=True),
        *(_column(table, field) for field in table.all_fields),
    ]
    return Grid(columns, _title(table), _caption(table), continued=bool(table.style.columns))


def change_table(changes: Sequence[Change], style: TableStyle = STYLE) -> Grid:
    """Two runs, case by case: counts that changed, throughputs, and how many times as fast the later is."""
    befores, afters = [change.before for change in changes], [change.after for change in changes]
    records = [row.record for row in afters]
    level = replace(style.level(afters), mark=THROUGHPUT_ALONE.mark)
    machines = dict.fromkeys(
        record.conditions.machine.describe(record.case.device, record.conditions.threads)
        for record in records
    )
    memory = MEMORY.fitting([*befores, *afters])
    params = [_changed(change, lambda row: exact(row.record.params)) for change in changes]
    macs = [_changed(change, lambda row: exact(row.record.macs)) for change in changes]
    verdicts = ["control" if change.control else change.verdict or NOTHING for change in changes]
    columns = [
        GridColumn(MECHANISM, [named(row.record.case.title, [row]) for row in afters], wraps=True),
        GridColumn("", [row.where for row in afters], wraps=True),
        GridColumn("Params", params, drop_order=2),
        GridColumn("FLOPs", macs, drop_order=3),
        GridColumn(memory.heading, [_changed(change, memory.text) for change in changes], drop_order=1),
        _ours(level, befores, f"{level.unit} before", drop_order=4),
        _ours(level, afters, f"{level.unit} after", drop_order=5),
        _with_interval(GridColumn("× before", [estimated(change.speed) for change in changes])),
        GridColumn("verdict", verdicts, colours=COLOURS),
    ]
    return Grid(columns, "\n".join(machines), _change_caption(changes, style.spread))


def registry_table(entries: Sequence[Entry]) -> Grid:
    """The registry: each mechanism with its settings, paper and cost, the published cost beside ours."""
    mechanisms = [entry.choice.mechanism for entry in entries]
    published = [entry.published for entry in entries]
    columns = [
        GridColumn("Name", [mechanism.name for mechanism in mechanisms], wraps=True),
        GridColumn(MECHANISM, [mechanism.title for mechanism in mechanisms], wraps=True),
        GridColumn("Settings", list(map(settings_of, entries)), wraps=True, drop_order=3),
        GridColumn("Family", [mechanism.family for mechanism in mechanisms], drop_order=2),
        GridColumn("Published in", list(map(venue_of, entries)), wraps=True, drop_order=1),
        GridColumn(PARAMS.heading, [millions(entry.params, 2) for entry in entries]),
        paper_column([printed(paper, "params_m", 2) for paper in published], drop_order=2),
        GridColumn(FLOPS.heading, [f"{bound(entry)}{millions(entry.macs, 1)}" for entry in entries]),
        paper_column([printed(paper, "flops_m", 1) for paper in published], drop_order=2),
    ]
    return Grid(columns, caption=CONVENTION)


def contract_table(findings: Sequence[CheckResult]) -> Grid:
    """A line a question, a column a size: ✓ kept, ✗ broken, – the size is refused."""
    answers = {(finding.question, finding.geometry.size): finding.passed for finding in findings}
    questions = list(dict.fromkeys(finding.question for finding in findings))
    columns = [GridColumn("", questions, wraps=True)]
    for size in dict.fromkeys(finding.geometry.size for finding in findings):
        marks = [MARKS[answers.get((question, size))] for question in questions]
        columns.append(GridColumn(size, marks, justify="center"))
    return Grid(columns, continued=True, ruled=False)


def _title(table: PaperTable) -> str:
    return f"{'; '.join(dict.fromkeys(group.machine for group in table.groups))}\n{table.setting}"


def _caption(table: PaperTable) -> str:
    timings = [row.timing for row in measured(table.rows)]
    how = [how_measured(timings, spread=table.style.spread), verdicts(timings)] if timings else []
    return "\n".join([*facts(table.rows, table.style), *how, *what_marks_mean(table.rows)])


def _changed(change: Change, text: Callable[[Row], str]) -> str:
    """A value, or both where they differ."""
    before, after = text(change.before), text(change.after)
    return after if before == after else f"{before} → {after}"


def _change_caption(changes: Sequence[Change], spread: Spread) -> str:
    compared = [change for change in changes if change.speed]
    if not compared:
        return "counts only"
    both = [row for change in compared for row in (change.before, change.after)]
    controls = sorted({change.after.record.case.title for change in changes if change.control})
    relative = f" relative to {', '.join(controls)}, whose code is the same in both" if controls else ""
    floors = [change.noise_floor for change in compared]
    timings = [row.timing for row in measured(both)]
    meaning = f"× before: how many times as fast the later run is{relative}"
    return "\n".join(
        [meaning, how_measured(timings, floors, spread), verdicts(timings), *what_marks_mean(both)]
    )


def _ours(column: Quantity, rows: Sequence[Row | None], heading: str = "", drop_order: int = 0) -> GridColumn:
    cells = [column.text(row) if row else "" for row in rows]
    shown = GridColumn(heading or column.heading, cells, drop_order=drop_order)
    return shown if column.decimals is not None else _with_interval(shown, column.spread)


def _with_interval(column: GridColumn, spread: Spread = Spread.ci) -> GridColumn:
    """The column, which says what stands behind its values, if anything does."""
    has_spread = any(sign in cell for cell in column.cells for sign in "[±")
    return replace(column, heading=f"{column.heading} {spread.heading}") if has_spread else column


def _column(table: PaperTable, field: Field) -> GridColumn:
    """A field as a terminal shows it; of a share, the value alone."""
    rows = [field.row(line) for line in table.lines]
    column = field.column
    if field.is_paper:
        return paper_column([column.published_text(row) if row else "" for row in rows], drop_order=1)
    order = DROP_ORDER.get(column.name, OTHERS)
    if isinstance(column, TextColumn):
        cells = [column.text(row) if row else "" for row in rows]
        return GridColumn(_heading(table, field), cells, drop_order=order, colours=COLOURS)
    if column.name == LIMIT.name and not table.style.columns:
        return GridColumn(
            _heading(table, field), [_share(row) if row else "" for row in rows], drop_order=order
        )
    return _ours(column, rows, _heading(table, field), drop_order=order)


def _heading(table: PaperTable, field: Field) -> str:
    """A column's title and unit, and whose they are: `CPU img/s`, `× MSA`, `GPU memory (MiB)`."""
    column = field.column
    if field.index is None:
        return column.heading
    group = table.groups[field.index]
    where = f"{group.heading} " if len(table.groups) > 1 else ""
    match column.name:
        case SPEED.name:
            return f"{where}{column.unit} {group.baselines or 'baseline'}"
        case TIME.name | THROUGHPUT.name:
            return f"{group.heading} {column.unit}"
        case VERDICT.name | LIMIT.name:
            return f"{where}{column.heading.lower()}"
    return f"{where}{column.heading[0].lower()}{column.heading[1:]}" if where else column.heading


def _share(row: Row) -> str:
    share = LIMIT.shown(row)
    return share.value if share else NOTHING
