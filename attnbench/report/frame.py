"""The one place that builds a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnbench.analysis.rows import Row
from attnbench.report.csv_text import cell
from attnbench.report.data import row_line

if TYPE_CHECKING:
    import pandas as pd


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """A line a row under the names of `data.row_line`, as CSV has them; counts are exact."""
    import pandas as pd

    lines = [{name: cell(value) for name, value in row_line(row).items()} for row in rows]
    return pd.DataFrame(lines).convert_dtypes()
