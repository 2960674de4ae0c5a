"""JSON for scripts: runs, columns and rows in one object."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from attnbench.analysis.analysis import Analysis
from attnbench.report.column import Line, Quantity
from attnbench.report.columns import QUANTITIES
from attnbench.report.data import lines_of, machines_of
from attnbench.report.json_text import json_pieces


def json_object(runs: Sequence[Analysis]) -> str:
    """What was measured where, what the numbers mean, and every row with all that is known of it."""
    return "".join(json_object_pieces(runs))


def json_object_pieces(runs: Sequence[Analysis]) -> Iterator[str]:
    """The same a row at a time."""
    return json_pieces(
        {
            "runs": [_run(run) for run in runs],
            "columns": [_column(column) for column in QUANTITIES],
            "rows": ({"run": run.name, **line} for run in runs for line in lines_of(run)),
        }
    )


def _run(run: Analysis) -> Line:
    return {"name": run.name, "machines": list(map(asdict, machines_of(run.file)))}


def _column(column: Quantity) -> Line:
    return {
        "name": column.name,
        "title": column.title,
        "unit": column.base_unit,
        "better": column.better.value,
        "meaning": column.meaning,
    }
