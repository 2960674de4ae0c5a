"""Tables for the terminal."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from attnbench.analysis.difference import Change
from attnbench.analysis.rows import Row, grouped, measured
from attnbench.records.cost import CheckResult, Entry
from attnbench.report.caption import CONVENTION, facts, how_measured, setting_of, verdicts, what_marks_mean
from attnbench.report.column import Quantity, View
from attnbench.report.columns import (
    FLOPS,
    LIMIT,
    MEMORY,
    PARAMS,
    SPEED,
    THROUGHPUT,
    THROUGHPUT_ALONE,
    seen_in,
    verdict,
)
from attnbench.report.digits import estimated
from attnbench.report.paper_table import Group
from attnbench.report.terminal.costs import (
    MECHANISM,
    PAPER,
    bound,
    exact,
    paper_column,
    printed,
    settings_of,
    venue_of,
)
from attnbench.report.terminal.grid import Grid, GridColumn
from attnbench.statistics import Verdict
from attnbench.words import NOTHING

COLOURS: dict[str, str] = {Verdict.faster: "green", Verdict.slower: "red"}
PLACED = (PARAMS, FLOPS, MEMORY, THROUGHPUT, SPEED, LIMIT)  # each where Table IV has it, or a reader looks
MARKS = {True: "✓", False: "✗", None: "–"}


def result_table(rows: Sequence[Row]) -> Grid:
    """Table IV for the rows of one size: ours on each device, the published figures beside them, verdicts.

    The paper's columns are left out where no row is in the paper's setting.
    """
    firsts = [mine[0] for mine in grouped(rows, lambda row: row.record.case.label)]
    devices = list(dict.fromkeys(row.device for row in rows))
    columns = [
        GridColumn(MECHANISM, [row.record.case.title for row in firsts], wraps=True),
        _ours(PARAMS, firsts, drop_order=4),
        _papers(PARAMS, firsts),
        _ours(FLOPS, firsts, drop_order=5),
        _papers(FLOPS, firsts),
        *_others(firsts, of_layer=True),
    ]
    for device in devices:
        mine = {row.record.case.label: row for row in rows if row.device == device}
        there = [mine.get(row.record.case.label) for row in firsts]
        if any(row.record.memory for row in rows):
            heading = MEMORY.heading if len(devices) == 1 else f"{device.upper()} memory ({MEMORY.unit})"
            columns.append(_ours(MEMORY, there, heading, drop_order=3))
        columns += _speed_columns(device, there)
        columns += _others(there, f"{device.upper()} " if len(devices) > 1 else "", of_layer=False)
    with_paper = any(row.published for row in rows)
    shown = [column for column in columns if with_paper or column.heading != PAPER]
    return Grid(shown, _title(rows, devices), _caption(rows))


def change_table(changes: Sequence[Change]) -> Grid:
    """Two runs, case by case: counts that changed, throughputs, and how many times as fast the later is."""
    befores, afters = [change.before for change in changes], [change.after for change in changes]
    records = [row.record for row in afters]
    machines = dict.fromkeys(
        record.conditions.machine.describe(record.case.device, record.conditions.threads)
        for record in records
    )
    params = [_changed(change, lambda row: exact(row.record.params)) for change in changes]
    macs = [_changed(change, lambda row: exact(row.record.macs)) for change in changes]
    verdicts = ["control" if change.control else change.verdict or NOTHING for change in changes]
    columns = [
        GridColumn(MECHANISM, [record.case.title for record in records], wraps=True),
        GridColumn("", [row.where for row in afters], wraps=True),
        GridColumn("Params", params, drop_order=2),
        GridColumn("FLOPs", macs, drop_order=3),
        GridColumn("Memory (MiB)", [_changed(change, MEMORY.text) for change in changes], drop_order=1),
        _ours(THROUGHPUT_ALONE, befores, "img/s before", drop_order=4),
        _ours(THROUGHPUT_ALONE, afters, "img/s after", drop_order=5),
        _with_interval(GridColumn("× before", [estimated(change.speed) for change in changes])),
        GridColumn("verdict", verdicts, colours=COLOURS),
    ]
    return Grid(columns, "\n".join(machines), _change_caption(changes))


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
        GridColumn(PARAMS.heading, [_millions(entry.params, 2) for entry in entries]),
        paper_column([printed(paper, "params_m", 2) for paper in published], drop_order=2),
        GridColumn(FLOPS.heading, [f"{bound(entry)}{_millions(entry.macs, 1)}" for entry in entries]),
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


def _title(rows: Sequence[Row], devices: Sequence[str]) -> str:
    record = rows[0].record
    machines = "; ".join(
        record.conditions.machine.describe(device, record.conditions.threads) for device in devices
    )
    return f"{machines}\n{setting_of(record)}"


def _caption(rows: Sequence[Row]) -> str:
    timings = [row.timing for row in measured(rows)]
    how = [how_measured(timings), verdicts(timings)] if timings else []
    return "\n".join([*facts(rows), *how, *what_marks_mean(rows)])


def _baselines(rows: Sequence[Row | None], device: str) -> str:
    """The titles of what the speeds on a device are relative to; more than one where blocks differ."""
    group = Group("", device, tuple(row for row in rows if row))
    return group.baselines or "baseline"


def _changed(change: Change, text: Callable[[Row], str]) -> str:
    """A value, or both where they differ."""
    before, after = text(change.before), text(change.after)
    return after if before == after else f"{before} → {after}"


def _change_caption(changes: Sequence[Change]) -> str:
    compared = [change for change in changes if change.speed]
    if not compared:
        return "counts only"
    both = [row for change in compared for row in (change.before, change.after)]
    controls = sorted({change.after.record.case.title for change in changes if change.control})
    relative = f" relative to {', '.join(controls)}, whose code is the same in both" if controls else ""
    floors = [change.noise_floor for change in compared]
    timings = [row.timing for row in measured(both)]
    meaning = f"× before: how many times as fast the later run is{relative}"
    return "\n".join([meaning, how_measured(timings, floors), verdicts(timings), *what_marks_mean(both)])


def _millions(count: int | None, decimals: int) -> str:
    return NOTHING if count is None else f"{count / 1e6:.{decimals}f}"


def _ours(column: Quantity, rows: Sequence[Row | None], heading: str = "", drop_order: int = 0) -> GridColumn:
    cells = [column.text(row) if row else "" for row in rows]
    shown = GridColumn(heading or column.heading, cells, drop_order=drop_order)
    return shown if column.decimals is not None else _with_interval(shown)


def _with_interval(column: GridColumn) -> GridColumn:
    """The column, which says how sure its intervals are, if it has any."""
    has_intervals = any("[" in cell for cell in column.cells)
    return replace(column, heading=f"{column.heading} [95 %]") if has_intervals else column


def _papers(column: Quantity, rows: Sequence[Row | None]) -> GridColumn:
    return paper_column([column.published_text(row) if row else "" for row in rows], drop_order=1)


def _speed_columns(device: str, rows: Sequence[Row | None]) -> list[GridColumn]:
    """Throughput, ratio and verdict on one device, and how near they are to what its machine can do."""
    verdicts = [verdict(row) if row else "" for row in rows]
    return [
        _ours(THROUGHPUT, rows, f"{device.upper()} {THROUGHPUT.unit}", drop_order=6),
        _papers(THROUGHPUT, rows),
        _ours(SPEED, rows, f"{SPEED.unit} {_baselines(rows, device)}"),
        _papers(SPEED, rows),
        GridColumn("verdict", verdicts, colours=COLOURS),
        GridColumn(LIMIT.heading.lower(), [_share(row) if row else "" for row in rows], drop_order=2),
    ]


def _others(rows: Sequence[Row | None], where: str = "", *, of_layer: bool) -> list[GridColumn]:
    """The quantities that have no place of their own in the table, if any row has a value."""
    return [
        _ours(column, rows, f"{where}{column.heading}", drop_order=2)
        for column in seen_in(View.terminal, of_layer=of_layer)
        if column not in PLACED and any(row and column.estimate(row) for row in rows)
    ]


def _share(row: Row) -> str:
    share = LIMIT.shown(row)
    return share.value if share else NOTHING
