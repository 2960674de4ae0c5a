"""What a reader's tables have: which columns, in which order, and what stands behind their values."""

from collections.abc import Sequence
from dataclasses import dataclass

from attnbench.analysis.rows import Row
from attnbench.cases.labels import closest, did_you_mean
from attnbench.errors import AttnbenchError
from attnbench.report.column import CaseField, Column, Line, Quantity, View
from attnbench.report.columns import ALL_COLUMNS, SPEED, THROUGHPUT, TIME, seen_in, verdict
from attnbench.report.fields import COUNTED, DEVICE, VERDICT
from attnbench.report.spread import Spread
from attnbench.report.text_column import TextColumn, text_column

TableColumn = Quantity | TextColumn
PUBLISHED = "_published"
FLOATS = ("table*", "table")


@dataclass(frozen=True, slots=True)
class Asked:
    """A column that a reader asks for: ours, or the paper's number of the same quantity."""

    source: Column
    is_paper: bool = False

    @property
    def name(self) -> str:
        """What programs call it, and `--columns` too."""
        return f"{self.source.name}{PUBLISHED}" if self.is_paper else self.source.name

    @property
    def column(self) -> TableColumn:
        """The column as tables have it."""
        return table_column(self.source)

    def cells(self, row: Row) -> Line:
        """What programs read of it: a value with its interval, or the paper's value."""
        cells = self.source.cells(row).items()
        return {name: cell for name, cell in cells if name.endswith(PUBLISHED) is self.is_paper}


@dataclass(frozen=True, slots=True)
class TableStyle:
    """How a reader wants tables.

    `columns` are all that they have, in this order; those of Table IV where there are none. `latency` says
    whether the speed of a call is its time and not images per second; None leaves that to the batch. In LaTeX
    a table is a `placement` of its own, and one that is `bare` has a caption of one line. A `pivot` is one
    table of all settings, with a group of columns for each.
    """

    columns: tuple[Asked, ...] = ()
    spread: Spread = Spread.ci
    latency: bool | None = None
    placement: str = FLOATS[0]
    bare: bool = False
    pivot: bool = False

    @property
    def shows_paper(self) -> bool:
        """Whether the paper's numbers may stand beside ours."""
        return not self.columns or any(each.is_paper for each in self.columns)

    def shows(self, column: Column) -> bool:
        """Whether a column, or the paper's numbers of the same quantity, may be there."""
        return not self.columns or any(each.column.name == column.name for each in self.columns)

    def level(self, rows: Sequence[Row]) -> Quantity:
        """What tells how fast calls are: time where one image is all that a call has, else throughput."""
        alone = all(row.record.case.workload.batch == 1 for row in rows)
        told = TIME if self.latency or (self.latency is None and alone) else THROUGHPUT
        return told.spread_by(self.spread)

    def of_view(self, view: View, rows: Sequence[Row]) -> list[TableColumn]:
        """The columns of a view, the verdict among them, where nobody asks for others."""
        seen = [*seen_in(view, of_layer=True), *seen_in(view, of_layer=False)]
        found = [
            self.level(rows) if each is THROUGHPUT else self.styled(each, rows)
            for each in seen
            if each is not TIME
        ]
        behind = next((place for place, each in enumerate(seen, start=1) if each is SPEED), len(found))
        return [*found[:behind], table_column(VERDICT), *found[behind:]]

    def styled(self, column: TableColumn, rows: Sequence[Row]) -> TableColumn:
        """A column with what stands behind its values, in the unit that these rows ask for."""
        return column.spread_by(self.spread).fitting(rows) if isinstance(column, Quantity) else column


STYLE = TableStyle()
"""Where nobody asks for another."""


def table_column(column: Column) -> TableColumn:
    """A column of programs as tables for readers have it."""
    if isinstance(column, Quantity):
        return column
    if column is VERDICT:
        return TextColumn(VERDICT.name, verdict)
    of_layer = column in COUNTED or (isinstance(column, CaseField) and column is not DEVICE)
    return text_column(column, of_layer=of_layer)


def read_columns(names: Sequence[str]) -> tuple[Asked, ...]:
    """The columns of these names, as CSV has them, or titles; another name is an `AttnbenchError`."""
    known = {name: Asked(column) for column in ALL_COLUMNS for name in _words(column)}
    known |= {
        f"{name}{PUBLISHED}": Asked(column, is_paper=True)
        for column in ALL_COLUMNS
        if f"{column.name}{PUBLISHED}" in column.names
        for name in _words(column)
    }
    for name in names:
        if name.casefold() not in known:
            near = did_you_mean(closest(name, known))
            raise AttnbenchError(
                f"No column of tables is called {name!r}.{near} --columns can be {', '.join(asked_names())}."
            )
    return tuple(dict.fromkeys(known[name.casefold()] for name in names))


def asked_names() -> list[str]:
    """The names that `read_columns` takes, in the order of CSV."""
    names = [name for column in ALL_COLUMNS for name in column.names]
    return [name for name in names if not name.endswith(("_low", "_high"))]


def _words(column: Column) -> list[str]:
    """What a column may be called: its name, and its title where it has one."""
    return [column.name, *([column.title.casefold()] if isinstance(column, Quantity) else [])]
