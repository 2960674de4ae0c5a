"""A table whose numbers are whole on every terminal: what gives way is air, then lines, then columns."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.box import HEAVY_HEAD, SIMPLE_HEAD, Box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

from attnbench.report.terminal.plain_table import PlainColumn, annotation, plain_table
from attnbench.words import visible

WORDS = re.compile(r"\[.*?\]|\S+")  # `[95 %]` is one
BETWEEN_WORDS = re.compile(r" (?![^\[]*\])")
STACKS_BELOW = 28  # letters of text that could stand below the first column instead
LONGEST = 40  # letters of a column whose table goes on in another


@dataclass(frozen=True, slots=True)
class GridColumn:
    """A heading and a cell a line, shown as they are: what looks like markup is none.

    Cells are kept whole, but for text that `wraps`. Where a terminal has no room for all, text that `stacks`,
    for which a grid does without rules, goes below the first column; then the columns whose `drop_order` is 1
    are left out, then 2, and so on; 0 stays. Text that wraps is flush left and numbers are flush right,
    unless `justify` says otherwise.
    """

    heading: str
    cells: Sequence[str]
    wraps: bool = False
    stacks: bool = False
    drop_order: int = 0
    justify: JustifyMethod = "default"
    style: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)
    below: Sequence[str] = ()

    @property
    def side(self) -> JustifyMethod:
        """Where cells are flush."""
        if self.justify == "default":
            return "left" if self.wraps else "right"
        return self.justify

    def lines(self) -> list[str]:
        """What must not be broken unless the column wraps."""
        return [line for text in [*self.cells, *self.below] for line in text.splitlines()]

    def wanted(self) -> int:
        """The width at which nothing is broken."""
        return _longest([*self.heading.splitlines(), *self.lines()])

    def texts(self) -> list[Text]:
        """The cells in their colours, with what stands below them."""
        coloured = [Text.assemble((cell, self.colours.get(cell, ""))) for cell in self.cells]
        return [
            text.append(f"\n{below}", "dim") if below else text
            for text, below in zip(coloured, self.below or [""] * len(coloured), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How densely a table is set; text has `least_text` letters beside each other, or its longest part."""

    box: Box | None
    padding: int
    least_text: int
    parted: Callable[[str], list[str]]

    def frame(self, columns: Sequence[GridColumn]) -> int:
        """What stands between and around columns."""
        rules = len(columns) + 1 if self.box else 0
        return 2 * self.padding * len(columns) + rules

    def least(self, column: GridColumn) -> int:
        """The narrowest that a column may be."""
        words = WORDS.findall(column.heading)
        if column.wraps:
            words += [part for line in column.lines() for part in self.parted(line)]
            return min(_longest(words), STACKS_BELOW if column.stacks else self.least_text)
        return _longest([*words, *column.lines()])

    def widths(self, columns: Sequence[GridColumn], width: int) -> list[int]:
        """The narrowest for each; what is left over goes evenly to texts, and then to headings."""
        widths = list(map(self.least, columns))
        wants = [max(0, column.wanted() - least) for column, least in zip(columns, widths, strict=True)]
        spare = max(0, width - self.needed(columns))
        texts = {index for index, column in enumerate(columns) if column.wraps}
        for group in (texts, set(range(len(columns))) - texts):
            for number, index in enumerate(sorted(group, key=wants.__getitem__)):
                more = min(wants[index], spare // (len(group) - number))
                widths[index] += more
                spare -= more
        return widths

    def needed(self, columns: Sequence[GridColumn]) -> int:
        """The width of the narrowest table."""
        return self.frame(columns) + sum(map(self.least, columns))

    def asked(self, column: GridColumn) -> int:
        """The width at which nothing is broken, unless that is long."""
        return max(self.least(column), min(column.wanted(), LONGEST))

    def parts(self, columns: Sequence[GridColumn], width: int) -> list[list[GridColumn]]:
        """The first column with each of as few groups of the others as have room beside it unbroken."""
        first, *others = columns
        if self.frame(columns) + self.least(first) + sum(map(self.asked, others)) <= width:
            return [list(columns)]
        parts = [[first]]
        for column in others:
            beside = [*parts[-1], column]
            if len(beside) > 2 and self.frame(beside) + sum(map(self.asked, beside)) > width:
                parts.append([first])
            parts[-1].append(column)
        return parts


LOOSE = _Layout(HEAVY_HEAD, padding=1, least_text=20, parted=str.splitlines)
SNUG = _Layout(SIMPLE_HEAD, padding=0, least_text=20, parted=str.splitlines)
TIGHT = _Layout(SIMPLE_HEAD, padding=0, least_text=STACKS_BELOW, parted=str.split)
FOLDING = _Layout(SIMPLE_HEAD, padding=0, least_text=16, parted=str.split)  # breaks words before columns go
UNRULED = _Layout(None, padding=1, least_text=20, parted=str.split)


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns under a title, over a caption, as dense as a terminal asks for.

    A grid that is `continued` has all its columns on every terminal: further tables have those that find no
    room, each beside the first column. One that is not `ruled` has no lines around it. The rows of `faint`
    indices stand back, and the last one is a `total` below a line.
    """

    columns: Sequence[GridColumn]
    title: str = ""
    caption: str = ""
    title_justify: JustifyMethod = "center"
    continued: bool = False
    ruled: bool = True
    faint: Collection[int] = ()
    total: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        layout, columns = self._fitting(list(map(_visible, self.columns)), width)
        parts = layout.parts(columns, width) if self.continued else [columns]
        for part in parts:
            title = Text(self.title if part is parts[0] else "", "table.title", justify=self.title_justify)
            if layout.box and (plain := self._plain(console, layout, part, width)):
                yield from plain_table(console, options, title, plain, layout.box, layout.padding)
            else:
                yield self._table(layout, part, width, title)
        if caption := "\n".join(filter(None, [self.caption, self._left_out(columns)])):
            yield from annotation(console, options, Text(caption, "table.caption"))

    def _fitting(self, columns: Sequence[GridColumn], width: int) -> tuple[_Layout, Sequence[GridColumn]]:
        """The first layout that has room for the columns, or the densest and what it has room for."""
        stacked = _stacked(columns)
        folded = list(map(_folded, stacked))
        loose = (LOOSE if self.ruled else UNRULED) if len(stacked) == len(columns) else SNUG
        for layout, fitting in ((loose, columns), (SNUG, stacked), (TIGHT, folded), (FOLDING, folded)):
            if self._needed(layout, fitting) <= width:
                return layout, fitting
        kept = _with_room(folded, width)
        return (TIGHT if TIGHT.needed(kept) <= width else FOLDING), kept

    def _needed(self, layout: _Layout, columns: Sequence[GridColumn]) -> int:
        """The width of the narrowest table, in which a continued grid has one column beside the first."""
        if not self.continued:
            return layout.needed(columns)
        return max(layout.needed([columns[0], column]) for column in columns[1:])

    def _table(self, layout: _Layout, columns: Sequence[GridColumn], width: int, title: Text) -> Table:
        table = Table(
            title=title,
            title_justify=self.title_justify,
            box=layout.box,
            padding=(0, layout.padding),
            show_header=any(column.heading for column in columns),
        )
        for column, letters in zip(columns, layout.widths(columns, width), strict=True):
            heading = Text(_broken(column.heading, letters))
            table.add_column(heading, justify=column.side, style=column.style, width=letters, overflow="fold")
        for index, texts in enumerate(zip(*(column.texts() for column in columns), strict=True)):
            table.add_row(*texts, style="dim" if index in self.faint else None)
        if self.total:
            table.rows[-2].end_section = True
        return table

    def _plain(
        self, console: Console, layout: _Layout, columns: Sequence[GridColumn], width: int
    ) -> list[PlainColumn]:
        """The columns as text alone; none where they are more than that, or rich has to break a line."""
        if console.color_system or self.total or layout.needed(columns) > width:
            return []
        widths = layout.widths(columns, width)
        plain = [
            PlainColumn(_broken(column.heading, letters), column.cells, letters, column.side)
            for column, letters in zip(columns, widths, strict=True)
        ]
        is_text = not any(column.below for column in columns) and any(column.heading for column in columns)
        return plain if is_text and all(column.fits for column in plain) else []

    def _left_out(self, columns: Sequence[GridColumn]) -> str:
        shown = {column.heading.replace("\n", " ") for column in columns}
        gone = [visible(column.heading) for column in self.columns if column.drop_order]
        missing = dict.fromkeys(heading for heading in gone if heading not in shown)
        return f"left out for want of width: {', '.join(missing)}" if missing else ""


def _visible(column: GridColumn) -> GridColumn:
    """The column in the letters that a terminal is shown, which have a width."""
    return replace(column, heading=visible(column.heading), cells=list(map(visible, column.cells)))


def _stacked(columns: Sequence[GridColumn]) -> list[GridColumn]:
    """The first column over the text of those that go below it, and the others beside it."""
    stacks = [column for column in columns if column.stacks]
    below = [
        "; ".join(filter(None, cells)) for cells in zip(*(column.cells for column in stacks), strict=True)
    ]
    first, *others = (column for column in columns if not column.stacks)
    return [replace(first, below=below), *others]


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
    if column.side != "right":
        return replace(column, heading=heading)
    cells = [re.sub(r" ([\[→])", r"\n\1", cell).replace(", ", "–") for cell in column.cells]
    return replace(column, heading=heading, cells=cells)


def _broken(heading: str, letters: int) -> str:
    """A heading in lines of so many letters, where words have no more: it breaks between words alone."""
    lines = []
    for line in heading.splitlines():
        lines.append("")
        for word in BETWEEN_WORDS.split(line):
            longer = f"{lines[-1]} {word}".lstrip()
            if lines[-1] and cell_len(longer) > letters:
                lines.append(word)
            else:
                lines[-1] = longer
    return "\n".join(lines)


def _longest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)
