"""What came of many tries: a line a fault, and a line a try for programs."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import get_type_hints

from tests.faults.trial import Try

COUNTED = ("resumed", "lost", "doubled", "stuck", "left_behind", "tracebacks")
HEADINGS = ("fault", "times", *(name.replace("_", " ") for name in COUNTED))


def table(tries: Sequence[Try], faults: Iterable[str]) -> str:
    """How often each fault came, and what it did: numbers in columns, and their sums in the last line."""
    lines = [_line(name, [each for each in tries if each.fault == name]) for name in faults]
    return _aligned([HEADINGS, *(line for line in lines if line[1] != "0"), _line("all", tries)])


def append(path: Path, trial: Try) -> None:
    """Add a try to a file of them."""
    begun = path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Try)], lineterminator="\n")
        if not begun:
            writer.writeheader()
        writer.writerow(asdict(trial))


def read(path: Path) -> list[Try]:
    """The tries of such a file; none where there is none."""
    if not path.exists():
        return []
    kinds = get_type_hints(Try)
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Try(**{name: kinds[name](word) for name, word in row.items()}) for row in csv.DictReader(file)
        ]


def _line(name: str, tries: Sequence[Try]) -> tuple[str, ...]:
    sums = (sum(getattr(each, counted) for each in tries) for counted in COUNTED)
    return name, str(len(tries)), *map(str, sums)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """The first column to the left, and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
