"""What the author of a mechanism imports, and `load` for whoever reads a run from Python.

`attnbench.attention.attend` is the other half of the former.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.errors import AttnbenchError, InvalidSetting, UnsupportedGeometry
from attnbench.mechanism import Branch, Geometry, Mechanism, Paper

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AttnbenchError",
    "Branch",
    "Geometry",
    "InvalidSetting",
    "Mechanism",
    "Paper",
    "UnsupportedGeometry",
    "load",
]


def load(folder: str | Path) -> "pd.DataFrame":
    """The run in a folder as a table of N lines, one a case, under the names of its `table.csv`.

    Base units: seconds, bytes, joules, watts, multiply-adds and parameters as plain numbers. `x_low` and
    `x_high` are the ends of the 95 % interval of `x`, `x_published` is Table IV's number. Counts are exact
    integers; NA is what was not measured. Speeds are relative to the run's own baseline.

    Raises `AttnbenchError` where there is no run, or one that cannot be read or holds no rows; a last line
    that was cut off is left out with a warning.
    """
    from attnbench.analysis.analysis import rows_of
    from attnbench.records.record import read
    from attnbench.report.frame import frame

    run = read(Path(folder))
    for text in run.warnings:
        warnings.warn(text, stacklevel=2)
    return frame(rows_of(run))
