"""Rows as a data frame, and back: the one place that knows pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from attnbench.analysis.rows import Row
from attnbench.errors import AttnbenchError
from attnbench.records.record import Record
from attnbench.report.column import Line
from attnbench.report.csv_text import cell
from attnbench.report.data import row_line
from attnbench.report.fields import CASE, THREADS
from attnbench.report.read_back import NEEDED, row_from

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    Source = str | Path | pd.DataFrame  # where rows are drawn from: a run's folder, or a frame

TELLING = (
    *("label", "outcome", "reason", "params", "macs", "memory_bytes", "sessions"),
    *("imgs_per_s", "imgs_per_s_low", "imgs_per_s_high"),
    *("baseline", "speed_vs_baseline", "speed_vs_baseline_low", "speed_vs_baseline_high", "verdict"),
)
"""What a reader of a few rows looks for, the most telling last, where a narrow terminal shows it."""
UNTOLD = "attnbench"
"""The key in `attrs` under which a frame of telling columns keeps all others, by label."""


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """A line a row under the names of `data.row_line`, as CSV has them; counts are exact."""
    import pandas as pd

    lines = [{name: cell(value) for name, value in row_line(row).items()} for row in rows]
    return pd.DataFrame(lines).convert_dtypes()


def sample_frame(records: Iterable[Record]) -> pd.DataFrame:
    """A line a sample: what was timed, under the names of `frame`, in what role, and when and how long."""
    import pandas as pd

    lines = [
        {**drawn_from, **asdict(sample)}
        for record in records
        for drawn_from in [_timed(record)]
        for sample in record.samples
    ]
    if not lines:
        raise AttnbenchError(
            "The run holds no samples: nothing in it was timed. It loads without samples=True."
        )
    return pd.DataFrame(lines).rename(columns={"seconds": "time_s"}).convert_dtypes()


def _timed(record: Record) -> Line:
    """What a record's samples are of; samples with one `block` lie in the same rounds."""
    case = {field.name: cell(field.of(record.case)) for field in CASE}
    return {
        "block": record.block, "role": record.case.role.value, **case, THREADS.name: record.conditions.threads
    }  # fmt: skip


def telling(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that a reader looks for, as far as any row has a value there; the others are in `attrs`.

    Labels are distinct in it.
    """
    shown = [name for name in TELLING if table[name].notna().any()]
    told = table[shown] if len(table) > 1 else table[[name for name in shown if name not in TELLING[-5:]]]
    untold = table.drop(columns=list(told))
    told.attrs[UNTOLD] = dict(zip(table["label"], _lines(untold), strict=True))
    return told


def rows_in(table: pd.DataFrame) -> list[Row]:
    """The rows that a frame was made of, as far as figures draw them, in its order.

    Raises `AttnbenchError` where the frame lacks a column, or is empty, and where it is none.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise AttnbenchError(
            f"What is to be drawn is a {type(table).__name__}; give the folder of a run, or a data frame, "
            "even of one line: table[table['label'] == 'msa']."
        )
    untold = table.attrs.get(UNTOLD, {})
    lines = [{**untold.get(line.get("label"), {}), **line} for line in _lines(table)]
    if not lines:
        raise AttnbenchError("The frame has no lines, so that there is nothing to draw.")
    if lacking := [name for name in NEEDED if any(name not in line for line in lines)]:
        raise AttnbenchError(
            f"The frame lacks {', '.join(lacking)}, so that it cannot be drawn. Plot what attnbench.load or "
            "attnbench.measure gave: its lines may be chosen and sorted, but all columns must stay. "
            "Joined, or read from a file, what measure gave must be its `full` table."
        )
    return [_row(number, line) for number, line in enumerate(lines)]


def _row(number: int, line: dict[str, object]) -> Row:
    """The row of a line; an `AttnbenchError` says which one holds what its column cannot."""
    try:
        return row_from(line)
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        raise AttnbenchError(
            f"Line {number} of the frame, of {line['label']}, holds a value that its column cannot have: "
            f"{error}. Plot what attnbench.load or attnbench.measure gave."
        ) from error


def _lines(table: pd.DataFrame) -> list[dict[str, object]]:
    """A line a row; None is what is not there."""
    whole = table.astype(object)
    lines = whole.where(whole.notna(), None).to_dict("records")
    return [{str(name): value for name, value in line.items()} for line in lines]
