"""CSV for programs: a line a case and metric."""

from collections.abc import Sequence

from attnbench.analysis.rows import Row
from attnbench.analysis.runs import Run
from attnbench.report.columns import Column
from attnbench.report.csv_text import csv_text
from attnbench.report.formats.cells import case_cells, number_cells, protocol_cells, told, verdict_cells


def long_csv(runs: Sequence[Run]) -> str:
    """Every number with its interval and unit, the paper's number, and all that identifies the case.

    A case without a time has a line for each number that it lacks, with its outcome and an empty value.
    """
    return csv_text([_line(run, row, column) for run in runs for row in run.rows for column in told(row)])


def _line(run: Run, row: Row, column: Column) -> dict[str, object]:
    return {
        "run": run.name,
        **case_cells(row),
        "metric": column.name,
        "unit": column.unit,
        **number_cells(column, row),
        **verdict_cells(row),
        **protocol_cells(row),
    }
