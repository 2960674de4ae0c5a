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
    writer.writerows({name: cell(value) for name, value in line.items()} for line in found)
    return text.getvalue()


def cell(value: object) -> object:
    """A value as one cell has it: settings as `alpha=0.9,window=2`, words with a space between them."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={each}" for key, each in value.items()) or None
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or None
    return value
