"""A table whose numbers are whole on every terminal: text wraps, and columns go before a number is cut."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.box import HEAVY_HEAD, SIMPLE_HEAD, Box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

WORDS = re.compile(r"\[.*?\]|\S+")  # `[95 %]` is one


@dataclass(frozen=True, slots=True)
class GridColumn:
    """A heading and a cell a line, shown as they are: what looks like markup is none.

    Cells are kept whole, but for text that `wraps`. Where a terminal has no room for all, the columns whose
    `drop_order` is 1 are left out first, then 2, and so on; 0 stays.
    """

    heading: str
    cells: Sequence[str]
    wraps: bool = False
    drop_order: int = 0
    style: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What must not be broken unless the column wraps."""
        return [line for cell in self.cells for line in cell.splitlines()]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How densely a table is set; text has `least_text` letters beside each other, or its longest part."""

    box: Box
    padding: int
    least_text: int
    parted: Callable[[str], list[str]]

    def frame(self, columns: Sequence[GridColumn]) -> int:
        """What stands between and around columns."""
        return len(columns) * (2 * self.padding + 1) + 1

    def least(self, column: GridColumn) -> int:
        """The narrowest that a column may be."""
        words = WORDS.findall(column.heading)
        if column.wraps:
            words += [part for cell in column.cells for part in self.parted(cell)]
            return min(_longest(words), self.least_text)
        return _longest([*words, *column.lines()])

    def widths(self, columns: Sequence[GridColumn], width: int) -> list[int]:
        """The narrowest for each, and what is left over in turn to those that have more to say."""
        found = list(map(self.least, columns))
        spare = max(0, width - self.needed(columns))
        for index, column in enumerate(columns):
            wanted = _longest([*column.heading.splitlines(), *column.lines()])
            more = min(spare, max(0, wanted - found[index]))
            found[index] += more
            spare -= more
        return found

    def needed(self, columns: Sequence[GridColumn]) -> int:
        """The width of the narrowest table."""
        return self.frame(columns) + sum(map(self.least, columns))


LOOSE = _Layout(HEAVY_HEAD, padding=1, least_text=20, parted=str.splitlines)
TIGHT = _Layout(SIMPLE_HEAD, padding=0, least_text=16, parted=str.split)


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns under a title, over a caption; `narrow` ones are set tightly although there is room."""

    columns: Sequence[GridColumn]
    title: str = ""
    caption: str = ""
    title_justify: JustifyMethod = "center"
    narrow: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.narrow and LOOSE.needed(self.columns) <= options.max_width:
            yield self._table(LOOSE, self.columns, options.max_width)
        else:
            folded = list(map(_folded, self.columns))
            yield self._table(TIGHT, _with_room(folded, options.max_width), options.max_width)

    def _table(self, layout: _Layout, columns: Sequence[GridColumn], width: int) -> Table:
        table = Table(
            title=Text(self.title, "table.title"),
            title_justify=self.title_justify,
            caption=Text("\n".join(filter(None, [self.caption, self._left_out(columns)])), "table.caption"),
            caption_justify="left",
            box=layout.box,
            padding=(0, layout.padding),
        )
        for column, letters in zip(columns, layout.widths(columns, width), strict=True):
            justify: JustifyMethod = "left" if column.wraps else "right"
            heading = Text(column.heading)
            table.add_column(heading, justify=justify, style=column.style, width=letters, overflow="fold")
        for cells in zip(*(column.cells for column in columns), strict=True):
            styles = [column.colours.get(cell, "") for column, cell in zip(columns, cells, strict=True)]
            table.add_row(*(Text.assemble(part) for part in zip(cells, styles, strict=True)))
        return table

    def _left_out(self, columns: Sequence[GridColumn]) -> str:
        shown = {column.heading.replace("\n", " ") for column in columns}
        missing = dict.fromkeys(column.heading for column in self.columns if column.heading not in shown)
        return f"left out for want of width: {', '.join(missing)}" if missing else ""


def _with_room(columns: Sequence[GridColumn], width: int) -> list[GridColumn]:
    """The columns without as many of those that go first as have no room."""
    kept = list(columns)
    for gone in sorted({column.drop_order for column in columns} - {0}):
        if TIGHT.needed(kept) <= width:
            break
        kept = [column for column in kept if column.drop_order != gone]
    return kept


def _folded(column: GridColumn) -> GridColumn:
    """Intervals below their values, `165` and `[163–168]`, and what is new below what was."""
    heading = column.heading.replace(" [", "\n[")
    if column.wraps:
        return replace(column, heading=heading)
    cells = [re.sub(r" ([\[→])", r"\n\1", cell).replace(", ", "–") for cell in column.cells]
    return replace(column, heading=heading, cells=cells)


def _longest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)
