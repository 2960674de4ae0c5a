"""How commands show the rows of a run."""

from collections.abc import Sequence

from rich.console import Console

from attnbench.record import RecordFile
from attnbench.report.metrics import Row
from attnbench.report.table import notes, result_table


def print_results(out: Console, found: RecordFile, rows: Sequence[Row]) -> None:
    """One table a size, then what a reader must know beside them."""
    for size in dict.fromkeys(row.size for row in rows):
        mine = [row for row in rows if row.size == size]
        out.print(result_table(mine))
    for note in [*found.warnings, *notes(rows)]:
        out.print(f"· {note}", markup=False)
