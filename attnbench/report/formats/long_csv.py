"""CSV for programs: a line a case and metric."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row
from attnbench.errors import AttnbenchError
from attnbench.report.column import Line, Quantity
from attnbench.report.columns import ALL_COLUMNS, QUANTITIES
from attnbench.report.csv_text import stretches
from attnbench.report.data import names_of, row_line
from attnbench.report.fields import CASE, THREADS
from attnbench.report.table_style import STYLE, TableStyle

ENDS = ("low", "high", "published")
FIRST = names_of((*CASE, THREADS))
LAST = [name for name in names_of(ALL_COLUMNS) if name not in {*FIRST, *names_of(QUANTITIES)}]
COLUMNS = ("run", *FIRST, "metric", "unit", "value", *ENDS, *LAST)


def long_csv(runs: Sequence[Analysis], style: TableStyle = STYLE) -> str:
    """Every number with its interval, unit and paper's number, and all else that is known of its case.

    Where columns are asked for, a line for each number among them; what a line has is always the same. A case
    without a time has a line for each number that it lacks, with its outcome and an empty value.
    """
    return "".join(long_csv_pieces(runs, style))


def long_csv_pieces(runs: Sequence[Analysis], style: TableStyle = STYLE) -> Iterator[str]:
    """The same a row at a time: of many rows it is longer than what is known of them."""
    quantities = [each.source for each in style.columns if isinstance(each.source, Quantity)]
    if style.columns and not quantities:
        raise AttnbenchError(
            "--columns names no number, and the long CSV has a line a number; name one, such as time_s, or "
            "take --wide."
        )
    asked = [each for each in QUANTITIES if not style.columns or each in quantities]
    stretch = stretches()
    rows = (_lines(run, row, asked, stretch) for run in runs for row in run.rows)
    return chain([f"{stretch(COLUMNS)}\n"], rows)


def _lines(
    run: Analysis, row: Row, quantities: Sequence[Quantity], stretch: Callable[[Iterable[object]], str]
) -> str:
    """The row's line, melted: what all of its lines begin and end with is written once."""
    line = row_line(row)
    start = stretch([run.name, *(line[name] for name in FIRST)])
    end = stretch(line[name] for name in LAST)
    numbers = [
        stretch([column.name, column.base_unit, line[column.name], *_ends(column, line)])
        for column in quantities
        if column.estimate(row) or (column.tells_outcome and not row.timing)
    ]
    return "".join(f"{start},{number},{end}\n" for number in numbers)


def _ends(column: Quantity, line: Line) -> Iterator[object]:
    return (line.get(f"{column.name}_{end}") for end in ENDS)
