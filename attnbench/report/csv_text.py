"""CSV as attnbench writes it, without pandas."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence


def csv_text(lines: Iterable[Mapping[str, object]], columns: Sequence[str] = ()) -> str:
    """Lines under the columns that any of them has, or that are named; what a line has not is empty."""
    found = list(lines)
    text = io.StringIO()
    columns = list(dict.fromkeys([*columns, *(column for line in found for column in line)]))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()
