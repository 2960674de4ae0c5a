"""Table IV's shape: a line a mechanism, counts first, and a group of columns for each run and device."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row, grouped, measured
from attnbench.machine.devices import device_of
from attnbench.records.record import Record
from attnbench.report.column import Quantity, Standing, View, standings
from attnbench.report.columns import seen_in


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
    def counted(self) -> Row:
        """The row whose counts stand for all; one with counts, if there is any."""
        there = [row for row in self.rows if row]
        return next((row for row in there if row.record.macs is not None), there[0])


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a table: ours or the paper's, in the group at a place, or shared by all."""

    column: Quantity
    index: int | None
    is_paper: bool = False

    def row(self, line: Line) -> Row | None:
        """What the field shows in a line, if there is anything."""
        return line.counted if self.index is None else line.rows[self.index]


@dataclass(frozen=True, slots=True)
class PaperTable:
    """The rows of one setting."""

    groups: tuple[Group, ...]
    lines: tuple[Line, ...]

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

    def fields(self, index: int | None) -> list[Field]:
        """What is the layer's own, or what a group has measured of it, where anything; the paper's beside."""
        rows = self.rows if index is None else self.groups[index].rows
        found = []
        for column in seen_in(View.paper, of_layer=index is None):
            if column.tells_outcome or any(column.estimate(row) for row in rows):
                theirs = any(column.published(row) is not None for row in rows)
                found += [Field(column, index), *[Field(column, index, is_paper=True)] * theirs]
        return found

    def standings(self, field: Field) -> list[Standing | None]:
        """Which lines have the field's best value, and the next."""
        if field.is_paper:
            return [None] * len(self.lines)
        return standings(field.column, [field.row(line) for line in self.lines])


def paper_tables(runs: Sequence[Analysis]) -> list[PaperTable]:
    """A table for each setting, with all runs that measured in it beside each other."""
    by_device = [(run.name, rows) for run in runs for rows in grouped(run.rows, _device)]
    headings = _headings([(name, rows[0]) for name, rows in by_device])
    settings = dict.fromkeys(_setting(row) for _, rows in by_device for row in rows)
    return [
        _paper_table(
            Group(name, heading, mine)
            for heading, (name, rows) in zip(headings, by_device, strict=True)
            if (mine := tuple(row for row in rows if _setting(row) == each))
        )
        for each in settings
    ]


def _setting(row: Row) -> object:
    """What rows of one table share, whatever measured them."""
    return row.record.case.workload, row.record.case.variant


def _device(row: Row) -> object:
    return row.device, row.record.machine_kind


def _paper_table(groups: Iterable[Group]) -> PaperTable:
    found = tuple(groups)
    return PaperTable(found, tuple(_lines(found)))


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


def _lines(groups: Sequence[Group]) -> Iterator[Line]:
    """Mechanisms in the order in which they come, with two lines for one that costs more in one run."""
    by_label = [{row.record.case.label: row for row in group.rows} for group in groups]
    for label in dict.fromkeys(label for rows in by_label for label in rows):
        there = [rows.get(label) for rows in by_label]
        title = next(row.record.case.title for row in there if row)
        costs = [(row.record.params, row.record.macs) if row else None for row in there]
        known = [cost for cost in costs if cost and cost[1] is not None]
        versions = [cost if cost in known else next(iter(known), None) for cost in costs]
        for version in dict.fromkeys(versions):
            mine = [row if own == version else None for row, own in zip(there, versions, strict=True)]
            runs = dict.fromkeys(group.run for group, row in zip(groups, mine, strict=True) if row)
            yield Line(title if len(set(known)) < 2 else f"{title} ({', '.join(runs)})", tuple(mine))
