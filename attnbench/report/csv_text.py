"""CSV as attnbench writes it, without pandas."""

import csv
import io
from collections.abc import Mapping, Sequence


def csv_text(lines: Sequence[Mapping[str, object]]) -> str:
    """Lines under the columns that any of them has; a cell that a line has not is empty."""
    text = io.StringIO()
    columns = list(dict.fromkeys(column for line in lines for column in line))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
