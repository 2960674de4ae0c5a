"""JSON for scripts: runs, columns and rows in one object."""

import json
from collections.abc import Sequence

from attnbench.analysis.rows import Row
from attnbench.analysis.runs import Run
from attnbench.report.columns import COLUMNS, Column
from attnbench.report.formats.cells import case_cells, number_cells, protocol_cells, told, verdict_cells


def json_object(runs: Sequence[Run]) -> str:
    """What was measured where, what the columns mean, and every row with its values by column.

    A row has the values that there are, each with both ends of its interval, or null where there is none.
    """
    content = {
        "runs": [_run(run) for run in runs],
        "columns": [_column(column) for column in COLUMNS],
        "rows": [_row(run, row) for run in runs for row in run.rows],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _run(run: Run) -> dict[str, object]:
    firsts = {row.device: row.record for row in run.rows}
    machines = {
        device: record.conditions.machine.describe(device, record.conditions.threads)
        for device, record in firsts.items()
    }
    return {"name": run.name, "machines": machines}


def _column(column: Column) -> dict[str, object]:
    return {
        "name": column.name,
        "title": column.title,
        "unit": column.unit,
        "better": column.better.value,
        "meaning": column.meaning,
    }


def _row(run: Run, row: Row) -> dict[str, object]:
    return {
        "run": run.name,
        **case_cells(row),
        **verdict_cells(row),
        **protocol_cells(row),
        "values": {column.name: number_cells(column, row) for column in told(row) if column.estimate(row)},
    }
