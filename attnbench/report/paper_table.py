"""Table IV's shape: a line a mechanism, counts first, and a group of columns for each run and device."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row, grouped, measured, place, setting_anywhere
from attnbench.machine.devices import device_of
from attnbench.records.record import Record
from attnbench.report.column import Standing, View, named, standings
from attnbench.report.columns import LIMIT, SPEED, THROUGHPUT, TIME
from attnbench.report.fields import VERDICT
from attnbench.report.table_style import STYLE, TableColumn, TableStyle
from attnbench.report.text_column import TextColumn
from attnbench.words import plural

ALWAYS = (SPEED.name, VERDICT.name, LIMIT.name)
"""What a table at a terminal has though no row has a value, beside what tells outcomes."""
OF_A_SETTING = (TIME.name, THROUGHPUT.name, SPEED.name)
"""What a table of many settings has of each."""


@dataclass(frozen=True, slots=True)
class Group:
    """The columns of one run on one device of one machine, under a heading that no other group has."""

    run: str
    heading: str
    rows: tuple[Row, ...]

    @property
    def machine(self) -> str:
        """Processor and software in one line."""
        record = self.rows[0].record
        return record.conditions.machine.describe(record.case.device, record.conditions.threads)

    @property
    def baselines(self) -> str:
        """The titles of what speeds are relative to; one, unless blocks differ."""
        labels = dict.fromkeys(row.timing.baseline for row in measured(self.rows) if row.timing.baseline)
        titles = {row.record.case.label: row.record.case.title for row in self.rows}
        return " / ".join(titles.get(label, label) for label in labels)


@dataclass(frozen=True, slots=True)
class Line:
    """A mechanism: its row in each group, None where the group has none."""

    title: str
    rows: tuple[Row | None, ...]

    @property
    def name(self) -> str:
        """What tables for people call it: `Mine`, or `Mine (own kernel)`."""
        return named(self.title, self.there)

    @property
    def there(self) -> list[Row]:
        return [row for row in self.rows if row]

    @property
    def counted(self) -> Row:
        """The row whose counts stand for all; one with counts, if there is any."""
        return next((row for row in self.there if row.record.macs is not None), self.there[0])


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a table: ours or the paper's, in the group at a place, or shared by all."""

    column: TableColumn
    index: int | None
    is_paper: bool = False

    def row(self, line: Line) -> Row | None:
        """What the field shows in a line, if there is anything."""
        return line.counted if self.index is None else line.rows[self.index]


@dataclass(frozen=True, slots=True)
class PaperTable:
    """The rows of one setting, or of several side by side, in the columns of a view or those asked for."""

    groups: tuple[Group, ...]
    lines: tuple[Line, ...]
    style: TableStyle = STYLE
    view: View = View.paper

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows]

    @property
    def record(self) -> Record:
        """A record in the setting of all."""
        return self.groups[0].rows[0].record

    @property
    def indices(self) -> list[int | None]:
        """Where fields may be: shared by all groups, or in one of them."""
        return [None, *range(len(self.groups))]

    @property
    def all_fields(self) -> list[Field]:
        """Those that are shared, and then those of each group; of one group alone in the order asked for."""
        found = [field for index in self.indices for field in self.fields(index)]
        if len(self.groups) > 1 or not self.style.columns:
            return found
        order = [(each.column.name, each.is_paper) for each in self.style.columns]
        return sorted(found, key=lambda field: order.index((field.column.name, field.is_paper)))

    @property
    def setting(self) -> str:
        """What all rows have in common: size, batch, variant, mode and threads, as far as they do."""
        first, *others = [setting_words(group.rows[0]) for group in self.groups]
        return ", ".join(word for word in first if all(word in words for words in others))

    @property
    def is_pivot(self) -> bool:
        """Whether groups are of several settings."""
        return len(set(map(setting_anywhere, self.rows))) > 1

    def fields(self, index: int | None) -> list[Field]:
        """What is the layer's own, or what a group has measured of it, where anything; the paper's beside."""
        rows = self.rows if index is None else self.groups[index].rows
        if self.style.columns:
            asked = [
                (self.style.styled(each.column, self.rows), each.is_paper) for each in self.style.columns
            ]
            return [Field(column, index, paper) for column, paper in asked if self._has(column, index)]
        found = []
        for column in self.style.of_view(self.view, self.rows):
            if self._has(column, index) and self._is_shown(column, index):
                theirs = any(column.published(row) is not None for row in rows)
                found += [Field(column, index), *[Field(column, index, is_paper=True)] * theirs]
        return found

    def standings(self, field: Field) -> list[Standing | None]:
        """Which lines have the field's best value, and the next."""
        if field.is_paper or isinstance(field.column, TextColumn):
            return [None] * len(self.lines)
        return standings(field.column, [field.row(line) for line in self.lines])

    def _has(self, column: TableColumn, index: int | None) -> bool:
        """Whether a column belongs to what is shared, or to groups, as the index says."""
        return self._is_shared(column) is (index is None)

    def _is_shared(self, column: TableColumn) -> bool:
        return column.of_layer and all(
            len({column.text(row) for row in line.there}) == 1 or not self.is_pivot for line in self.lines
        )

    def _is_shown(self, column: TableColumn, index: int | None) -> bool:
        """Whether there is an outcome, a value or a verdict to see; of many settings speeds alone."""
        if self.is_pivot and index is not None and column.name not in OF_A_SETTING:
            return False
        rows = self.rows if index is None else self.groups[index].rows
        if column.tells_outcome or (self.view is View.terminal and column.name in ALWAYS):
            return True
        if column.name == VERDICT.name:
            return bool(measured(rows))
        return any(column.estimate(row) for row in rows)


def paper_tables(
    runs: Sequence[Analysis], style: TableStyle = STYLE, view: View = View.paper
) -> list[PaperTable]:
    """A table for each setting, with all runs that measured in it beside each other; one where they pivot."""
    by_device = [(run.name, rows) for run in runs for rows in grouped(run.rows, place)]
    headings = _headings([(name, rows[0]) for name, rows in by_device])
    settings = dict.fromkeys(setting_anywhere(row) for _, rows in by_device for row in rows)
    by_setting = [
        [
            Group(name, heading, mine)
            for heading, (name, rows) in zip(headings, by_device, strict=True)
            if (mine := tuple(row for row in rows if setting_anywhere(row) == each))
        ]
        for each in settings
    ]
    if style.pivot and len(by_setting) > 1:
        return [_pivot(by_setting, style, view)]
    return [PaperTable(tuple(groups), tuple(_lines(groups)), style, view) for groups in by_setting]


def one_table(rows: Sequence[Row], style: TableStyle = STYLE, view: View = View.terminal) -> PaperTable:
    """The table of the rows of one run in one setting; groups are devices, called as torch calls them."""
    groups = [
        Group("", mine[0].device.upper(), tuple(mine)) for mine in grouped(rows, lambda row: row.device)
    ]
    return PaperTable(tuple(groups), tuple(_lines(groups)), style, view)


def setting_words(row: Row) -> list[str]:
    """Size, channels, heads, batch, variant and mode, each in words; threads, where a run has several."""
    case = row.record.case
    return [
        *case.workload.spelled.split(", "),
        f"batch {case.workload.batch}",
        *case.variant.title.split(", "),
        case.workload.mode,
        *([plural(row.threads, "thread")] if row.threads else []),
    ]


def _pivot(by_setting: Sequence[Sequence[Group]], style: TableStyle, view: View) -> PaperTable:
    """All settings side by side: each group's heading says in what its setting differs from another."""
    words = [setting_words(groups[0].rows[0]) for groups in by_setting]
    several = len({group.heading for groups in by_setting for group in groups}) > 1
    groups = []
    for own, each in zip(words, by_setting, strict=True):
        different = ", ".join(word for word in own if not all(word in others for others in words))
        groups += [
            Group(group.run, f"{group.heading}, {different}" if several else different, group.rows)
            for group in each
        ]
    return PaperTable(tuple(groups), tuple(_lines(groups, by_cost=False)), style, view)


def _headings(firsts: Sequence[tuple[str, Row]]) -> list[str]:
    """What tells groups apart, in as few words as do: devices, processors, or names of runs."""
    devices = [device_of(row.device).title for _, row in firsts]
    processors = [row.record.conditions.machine.processor(row.device) for _, row in firsts]
    names = [name for name, _ in firsts]
    both = [f"{name}, {device}" for name, device in zip(names, devices, strict=True)]
    kinds = [
        f"{name}, {device} of machine {row.record.machine_kind}"
        for device, (name, row) in zip(devices, firsts, strict=True)
    ]
    several = (devices, processors, names, both, kinds)
    return next(words for words in several if len(set(words)) == len(words))


def _lines(groups: Sequence[Group], *, by_cost: bool = True) -> Iterator[Line]:
    """Mechanisms as they come, `by_cost` with two lines for one that costs more in one run."""
    by_label = [{row.record.case.label: row for row in group.rows} for group in groups]
    for label in dict.fromkeys(chain.from_iterable(by_label)):
        there = [rows.get(label) for rows in by_label]
        title = next(row.record.case.title for row in there if row)
        if by_cost:
            yield from _versions(title, groups, there)
        else:
            yield Line(title, tuple(there))


def _versions(title: str, groups: Iterable[Group], there: Sequence[Row | None]) -> Iterator[Line]:
    """A line for each cost of a mechanism, which names its runs where there are several."""
    costs = [(row.record.params, row.record.macs) if row else None for row in there]
    known = [cost for cost in costs if cost and cost[1] is not None]
    versions = [cost if cost in known else next(iter(known), None) for cost in costs]
    for version in dict.fromkeys(versions):
        mine = [row if own == version else None for row, own in zip(there, versions, strict=True)]
        runs = dict.fromkeys(
            group.run or group.heading for group, row in zip(groups, mine, strict=True) if row
        )
        yield Line(title if len(set(known)) < 2 else f"{title} ({', '.join(runs)})", tuple(mine))
