"""What programs read of a row, in one schema: CSV, JSON and data frames are projections of its lines.

Base units, the unit in the name. An interval's ends are `x_low` and `x_high` beside `x`, the paper's value is
`x_published`. None is what was not measured.
"""

from collections.abc import Iterator, Sequence

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row
from attnbench.machine.fingerprint import Machine
from attnbench.records.record_file import RecordFile
from attnbench.report.column import Column, Line
from attnbench.report.columns import ALL_COLUMNS
from attnbench.report.fields import CASE, THREADS
from attnbench.statistics import Estimate


def row_line(row: Row) -> Line:
    """All that is known of a row, by name."""
    return cells_of(ALL_COLUMNS, row)


def lines_of(run: Analysis) -> Iterator[Line]:
    """A line a row, in which `machine` is the place of its machine among the run's."""
    indices = machine_indices(run.file)
    return ({**row_line(row), "machine": indices[row.record.conditions.machine]} for row in run.rows)


def machines_of(found: RecordFile) -> list[Machine]:
    """The machines of a run, each once: one, unless it went on elsewhere."""
    return list(machine_indices(found))


def machine_indices(found: RecordFile) -> dict[Machine, int]:
    """The place of each machine among those of a run."""
    indices: dict[Machine, int] = {}
    for record in found.records:
        indices.setdefault(record.conditions.machine, len(indices))
    return indices


def case_line(row: Row) -> Line:
    """What tells a row from all others of its run."""
    return cells_of((*CASE, THREADS), row)


def cells_of(columns: Sequence[Column], row: Row) -> Line:
    """What a row has in these columns, by name."""
    return {name: value for column in columns for name, value in column.cells(row).items()}


def names_of(columns: Sequence[Column]) -> list[str]:
    """The names under which programs read these columns."""
    return [name for column in columns for name in column.names]


def estimate_cells(name: str, estimate: Estimate | None) -> Line:
    """A value under this name, and the ends of its interval."""
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
