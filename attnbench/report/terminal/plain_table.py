"""The body of a table as lines of text, where nothing is coloured.

rich measures, wraps and pads every cell, which takes a hundredth of a second a table: a run of thousands of
settings has as many tables, and cells that need none of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

PADS: dict[str, Callable[[str, int], str]] = {
    "default": lambda line, _: line,
    "left": lambda line, room: line + " " * room,
    "right": lambda line, room: " " * room + line,
    "center": lambda line, room: " " * (room // 2) + line + " " * (room - room // 2),
}


@dataclass(frozen=True, slots=True)
class PlainColumn:
    """A heading and cells of one line or more, and where they stand in so many letters."""

    heading: str
    cells: Sequence[str]
    letters: int
    side: str

    @property
    def fits(self) -> bool:
        """Whether all lines stand as they are: none is broken, and no space at an end of one is dropped."""
        lines = [line for text in (self.heading, *self.cells) for line in text.splitlines()]
        return self.side in PADS and all(stands(line, self.letters) for line in lines)


def stands(line: str, letters: int) -> bool:
    """Whether a line of so many letters has room for a text as it is."""
    return cell_len(line) <= letters and line == line.strip() and "\t" not in line


def padded(line: str, letters: int, side: str) -> str:
    """A line that stands on one side of so many letters, or in their middle."""
    return PADS[side](line, letters - cell_len(line))


def plain_table(
    console: Console,
    options: ConsoleOptions,
    title: Text,
    columns: Sequence[PlainColumn],
    box: Box,
    padding: int,
) -> RenderResult:
    """A table in a box, as wide as its columns, under its title."""
    lines = list(_body(columns, box.substitute(options, safe=console.safe_box), padding))
    if title:
        yield from annotation(console, options.update(width=cell_len(lines[0]), height=None), title)
    for line in lines:
        yield from (Segment(line), Segment.line())


def annotation(console: Console, options: ConsoleOptions, text: Text) -> RenderResult:
    """What stands over or under a table."""
    lines, side, width = text.plain.splitlines(), text.justify or "default", options.max_width
    if console.color_system or side not in PADS or not all(stands(line, width) for line in lines):
        yield from console.render(text, options)
        return
    for line in lines:
        yield from (Segment(padded(line, width, side)), Segment.line())


def _body(columns: Sequence[PlainColumn], box: Box, padding: int) -> Iterator[str]:
    """The lines of a table in a box: headings stand at the bottom of theirs, cells at the top."""
    widths = [column.letters + 2 * padding for column in columns]
    yield box.get_top(widths)
    heads = [column.heading.splitlines() for column in columns]
    height = max(map(len, heads))
    heads = [[""] * (height - len(lines)) + lines for lines in heads]
    yield from _lines(columns, heads, padding, (box.head_left, box.head_vertical, box.head_right))
    yield box.get_row(widths, "head")
    count = len(columns[0].cells)
    for index in range(count):
        cells = [column.cells[index].splitlines() for column in columns]
        edges = (
            (box.foot_left, box.foot_vertical, box.foot_right)
            if index == count - 1
            else (box.mid_left, box.mid_vertical, box.mid_right)
        )
        yield from _lines(columns, cells, padding, edges)
    yield box.get_bottom(widths)


def _lines(
    columns: Sequence[PlainColumn],
    cells: Sequence[Sequence[str]],
    padding: int,
    edges: tuple[str, str, str],
) -> Iterator[str]:
    """The lines of a row between its edges, with what divides its cells."""
    left, between, right = edges
    air = " " * padding
    for number in range(max(1, *map(len, cells))):
        lines = (cell[number] if number < len(cell) else "" for cell in cells)
        texts = (
            f"{air}{padded(line, column.letters, column.side)}{air}"
            for column, line in zip(columns, lines, strict=True)
        )
        yield f"{left}{between.join(texts)}{right}"
