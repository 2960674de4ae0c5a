"""CSV as attnbench writes it, without pandas."""

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType, SimpleNamespace

COMPUTED = re.compile(r"[=+\-@\x00-\x1f\x7f-\x9f]")  # what a cell begins with that a spreadsheet computes
PLAIN = (str, int, float, NoneType)
NUMBERS = frozenset((int, float, bool, NoneType))
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?")


def csv_text(lines: Iterable[Mapping[str, object]], columns: Sequence[str] = ()) -> str:
    """Lines under the columns that any of them has, or that are named; what a line has not is empty.

    No cell is one that a spreadsheet computes.
    """
    known = dict.fromkeys(columns)
    rows: list[str] = []
    widths: list[int] = []
    writer = csv.writer(SimpleNamespace(write=rows.append), lineterminator="\n")
    for line in lines:
        known.update(dict.fromkeys(line))
        writer.writerow(_cells(map(line.get, known)))
        widths.append(len(known))
    writer.writerow(known)
    header = rows.pop()
    lacking = ("," * (len(known) - width) for width in widths)  # columns that later lines brought
    return "".join([header, *(f"{row[:-1]}{end}\n" for row, end in zip(rows, lacking, strict=True))])


def stretches() -> Callable[[Iterable[object]], str]:
    """What writes some cells of a line, with commas between them; making it takes longer than a line."""
    written: list[str] = []
    writer = csv.writer(SimpleNamespace(write=written.append), lineterminator="")

    def stretch(values: Iterable[object]) -> str:
        writer.writerow(_cells(values))
        return written.pop()

    return stretch


def _cells(values: Iterable[object]) -> list[object]:
    """The values as cells that nobody computes; most are numbers, which stay what they are."""
    return [value if type(value) in NUMBERS else _inert(cell(value)) for value in values]


def cell(value: object) -> object:
    """A value as one cell has it: settings as `alpha=0.9,window=2`, words with a space between them."""
    if isinstance(value, PLAIN):
        return value
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
