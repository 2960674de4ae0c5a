"""The one place that builds a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnbench.analysis.rows import Row
from attnbench.report.csv_text import cell
from attnbench.report.data import row_line

if TYPE_CHECKING:
    import pandas as pd

TELLING = (
    *("label", "outcome", "reason", "params", "macs", "memory_bytes", "sessions"),
    *("imgs_per_s", "imgs_per_s_low", "imgs_per_s_high"),
    *("baseline", "speed_vs_baseline", "speed_vs_baseline_low", "speed_vs_baseline_high", "verdict"),
)
"""What a reader of a few rows looks for, the most telling last, where a narrow terminal shows it."""


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """A line a row under the names of `data.row_line`, as CSV has them; counts are exact."""
    import pandas as pd

    lines = [{name: cell(value) for name, value in row_line(row).items()} for row in rows]
    return pd.DataFrame(lines).convert_dtypes()


def telling(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that a reader looks for, as far as any row has a value there."""
    shown = [name for name in TELLING if table[name].notna().any()]
    return table[shown] if len(table) > 1 else table[[name for name in shown if name not in TELLING[-5:]]]
