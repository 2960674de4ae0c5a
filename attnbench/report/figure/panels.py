"""Figures of one setting: a panel for each device of a run, or for each of several runs."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnbench.analysis.rows import Measured, grouped, place
from attnbench.records.record import Record
from attnbench.report.colours import MarkStyles
from attnbench.report.figure.axis import set_numbers, set_ratios
from attnbench.report.figure.block import (
    Names,
    by_speed,
    by_throughput,
    draw_flops_against_time,
    draw_ratios,
    draw_throughput,
)
from attnbench.report.figure.file_names import note
from attnbench.report.figure.page import (
    Drawing,
    add_legend,
    add_note,
    add_panels,
    is_first_of_row,
    new_page,
    panel_columns,
    plot_inches,
)
from attnbench.report.figure.pareto import LEAST_LAYERS, pareto_page
from attnbench.report.figure.print_size import PrintSize, Width
from attnbench.report.figure.style import LETTER_INCHES, brief, lines_of, styled

PANEL_INCHES = 3.2  # the least width of one that has names of its own
BARS_INCHES = 1.0  # the least width of one beside another, names left aside
PLOT_INCHES = 1.6  # the least height of what is inside its axes
ROW_INCHES = 0.16  # a bar with its gap, where titles take a line
GAP_LETTERS = 4  # between the words of panels beside each other
TICK_LETTERS = 9  # from one number to the next


class DrawNamed(Protocol):
    """Draws rows on axes, in the order and under the names that all panels share."""

    def __call__(self, axes: Axes, rows: Sequence[Measured], *, names: Names) -> None: ...


@dataclass(frozen=True, slots=True)
class Panel:
    """What was timed in one place, and what that is called."""

    title: str
    rows: Sequence[Measured]


def by_device(rows: Sequence[Measured]) -> list[Panel]:
    """A panel a device of one kind of machine; one alone needs no name."""
    devices = grouped(rows, place)
    return [Panel(mine[0].device if len(devices) > 1 else "", mine) for mine in devices]


def drawings_of(
    panels: Sequence[Panel], styles: MarkStyles, wanted: PrintSize, end: str
) -> Iterator[Drawing]:
    """The figures of one setting, whose files' names have this end."""
    tables = [panel.rows for panel in panels]
    names = by_throughput(tables)
    bars = partial(draw_throughput, styles=styles)
    yield Drawing("throughput", f"throughput{end}", partial(_beside, bars, panels, names, wanted))
    if compared := by_speed(tables):
        ratios = partial(draw_ratios, styles=styles if wanted.highlight else None)
        yield Drawing("ratios", f"ratios{end}", partial(_beside, ratios, panels, compared, wanted))
    yield Drawing("flops-time", f"flops-time{end}", partial(_flops_time, panels, styles, wanted))
    if len(names) >= LEAST_LAYERS:
        parts = {panel.title: panel.rows for panel in panels}
        yield Drawing("front", f"front{end}", partial(pareto_page, parts, styles, wanted))


def _beside(draw: DrawNamed, panels: Sequence[Panel], names: Names, wanted: PrintSize) -> Figure:
    """Panels of the same mechanisms in the same order, whose names stand once a row of panels."""
    width, count = _width(panels, wanted), len(panels)
    lines = [line for title in names.values() for line in brief(title).split("\n")]
    names_inches = LETTER_INCHES * max(map(len, lines))
    least = PANEL_INCHES if count == 1 else BARS_INCHES + names_inches / 2
    height = plot_inches(count, width, least, _rows_inches(panels))
    with styled():
        page = new_page(width)
        grid = add_panels(page, count, least, height)
        for axes, panel in zip(grid, panels, strict=True):
            draw(axes, panel.rows, names=names)
            axes.set_title(panel.title, loc="left")
        if count > 1:
            panel_inches = (width - names_inches) / panel_columns(count, width, least)
            _join(grid, int(panel_inches / LETTER_INCHES) - GAP_LETTERS)
        add_legend(page)
        add_note(page, note(_records(panels)), wanted)
    return page


def _join(grid: Sequence[Axes], letters: int) -> None:
    """Names once a row, words and numbers that fit over and below so many letters, ratios on one scale."""
    ends = [end for axes in grid if axes.axison for end in axes.get_xlim()]
    for axes in grid:
        axes.tick_params(axis="y", labelleft=is_first_of_row(axes))
        axes.set_title(textwrap.fill(axes.get_title(loc="left"), letters), loc="left")
        axes.set_xlabel(textwrap.fill(" ".join(axes.get_xlabel().split()), letters))
        if axes.get_xscale() == "log":
            axes.set_xlim(min(ends), max(ends))
            set_ratios(axes)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(max(2, letters // TICK_LETTERS)))
            set_numbers(axes.xaxis)


def _flops_time(panels: Sequence[Panel], styles: MarkStyles, wanted: PrintSize) -> Figure:
    """Panels each of which has names of its own at its side."""
    width = _width(panels, wanted)
    height = plot_inches(len(panels), width, PANEL_INCHES, _rows_inches(panels))
    with styled():
        page = new_page(width)
        for axes, panel in zip(add_panels(page, len(panels), PANEL_INCHES, height), panels, strict=True):
            axes.set_title(brief(panel.title), loc="left")
            draw_flops_against_time(axes, panel.rows, styles)
        add_note(page, note(_records(panels)), wanted)
    return page


def _width(panels: Sequence[Panel], wanted: PrintSize) -> float:
    return wanted.inches(Width.column if len(panels) == 1 else Width.page)


def _rows_inches(panels: Sequence[Panel]) -> float:
    """The height of a bar, or of a name, for each layer."""
    titles = {row.record.case.title for panel in panels for row in panel.rows}
    return max(PLOT_INCHES, ROW_INCHES * len(titles) * max(map(lines_of, titles)))


def _records(panels: Sequence[Panel]) -> list[Record]:
    return [row.record for panel in panels for row in panel.rows]
