"""CSV for programs: a line a case and metric."""

from collections.abc import Iterator, Sequence

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row
from attnbench.errors import AttnbenchError
from attnbench.report.column import Line, Quantity
from attnbench.report.columns import QUANTITIES
from attnbench.report.csv_text import csv_text
from attnbench.report.data import case_line, names_of, row_line
from attnbench.report.table_style import STYLE, TableStyle

NUMBERS = frozenset(names_of(QUANTITIES))
ENDS = ("low", "high", "published")


def long_csv(runs: Sequence[Analysis], style: TableStyle = STYLE) -> str:
    """Every number with its interval, unit and paper's number, and all else that is known of its case.

    Where columns are asked for, a line for each number among them; what a line has is always the same. A case
    without a time has a line for each number that it lacks, with its outcome and an empty value.
    """
    quantities = [each.source for each in style.columns if isinstance(each.source, Quantity)]
    if style.columns and not quantities:
        raise AttnbenchError(
            "--columns names no number, and the long CSV has a line a number; name one, such as time_s, or "
            "take --wide."
        )
    asked = [each for each in QUANTITIES if not style.columns or each in quantities]
    return csv_text(line for run in runs for row in run.rows for line in _lines(run, row, asked))


def _lines(run: Analysis, row: Row, quantities: Sequence[Quantity]) -> Iterator[Line]:
    """The row's line, melted."""
    line, case = row_line(row), case_line(row)
    others = {name: value for name, value in line.items() if name not in NUMBERS and name not in case}
    for column in quantities:
        if column.estimate(row) or (column.tells_outcome and not row.timing):
            number = {end: line.get(f"{column.name}_{end}") for end in ENDS}
            metric = {"metric": column.name, "unit": column.base_unit, "value": line[column.name], **number}
            yield {"run": run.name, **case, **metric, **others}
