"""CSV for programs: a line a case and metric."""

from collections.abc import Iterator, Sequence

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row
from attnbench.report.column import Line, Quantity
from attnbench.report.columns import QUANTITIES
from attnbench.report.csv_text import csv_text
from attnbench.report.data import case_line, names_of, row_line

NUMBERS = frozenset(names_of(QUANTITIES))
ENDS = ("low", "high", "published")


def long_csv(runs: Sequence[Analysis]) -> str:
    """Every number with its interval, unit and paper's number, and all else that is known of its case.

    A case without a time has a line for each number that it lacks, with its outcome and an empty value.
    """
    return csv_text(line for run in runs for row in run.rows for line in _lines(run, row))


def _lines(run: Analysis, row: Row) -> Iterator[Line]:
    """The row's line, melted."""
    line, case = row_line(row), case_line(row)
    others = {name: value for name, value in line.items() if name not in NUMBERS and name not in case}
    for column in _told(row):
        number = {end: line.get(f"{column.name}_{end}") for end in ENDS}
        metric = {"metric": column.name, "unit": column.base_unit, "value": line[column.name], **number}
        yield {"run": run.name, **case, **metric, **others}


def _told(row: Row) -> list[Quantity]:
    """The quantities that have something to say of a row: a number, or what became of it."""
    return [each for each in QUANTITIES if each.estimate(row) or (each.tells_outcome and not row.timing)]
