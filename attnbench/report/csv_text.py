"""CSV as attnbench writes it, without pandas."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

COMPUTED = re.compile(r"[=+\-@\x00-\x1f\x7f-\x9f]")  # what a cell begins with that a spreadsheet computes
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?")


def csv_text(lines: Iterable[Mapping[str, object]], columns: Sequence[str] = ()) -> str:
    """Lines under the columns that any of them has, or that are named; what a line has not is empty.

    No cell is one that a spreadsheet computes.
    """
    found = list(lines)
    text = io.StringIO()
    columns = list(dict.fromkeys([*columns, *(column for line in found for column in line)]))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _inert(cell(value)) for name, value in line.items()} for line in found)
    return text.getvalue()


def cell(value: object) -> object:
    """A value as one cell has it: settings as `alpha=0.9,window=2`, words with a space between them."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={each}" for key, each in value.items()) or None
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or None
    return value


def _inert(value: object) -> object:
    """A cell that nobody computes or takes for two lines; numbers stay numbers.

    A text that a spreadsheet would compute is behind an apostrophe, and a carriage return, which `csv` leaves
    without quotes, is a line break.
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if COMPUTED.match(text) and not NUMBER.fullmatch(text) else text
