"""Pages: as wide as a paper's columns, as high as what is put on them, and saved alike in all formats."""

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure

from attnbench.report.figure.print_size import PrintSize
from attnbench.report.figure.style import (
    GREY,
    LETTER_INCHES,
    LINE_INCHES,
    SMALL,
    UNDATED,
    brief,
    lines_of,
    styled,
)

MARGIN_INCHES = 0.05
PANELS_INCHES = 7.4  # the most height of all panels
FRAME_INCHES = 0.55  # a panel's ticks and the name of its axis
USUAL_LEGEND_INCHES = 1.0  # the height of one that needs no room of others
LEGEND_HANDLE_INCHES = 0.42  # with the gaps on its sides
SCREEN_DPI = 150  # of what a notebook shows


class Page(Figure):
    """A figure that looks the same wherever it is drawn, and that a notebook shows without pyplot."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw it in the style of all figures, in which ticks are made as late as now."""
        with styled():
            super().draw(renderer)

    def savefig(self, fname: Any, **how: Any) -> None:
        """Save it as figures are: 300 dots an inch, fonts that publishers take."""
        with styled():
            super().savefig(fname, **how)

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png", dpi=SCREEN_DPI)
        return picture.getvalue()


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure that a run has, not drawn yet: of which kind, what its files are called, and what draws it."""

    kind: str
    name: str
    page: Callable[[], Figure]


def new_page(width_inches: float, height_inches: float = MARGIN_INCHES) -> Page:
    """An empty page, which grows with what is put on it."""
    return Page(figsize=(width_inches, height_inches))


def add_panels(
    page: Figure, count: int, least_inches: float, plot_inches: float, *, shared: bool = False
) -> list[Axes]:
    """So many equal panels in as few rows as their least width allows, of this height inside their axes."""
    columns = panel_columns(count, page.get_figwidth(), least_inches)
    rows = math.ceil(count / columns)
    _grow(page, rows * (plot_inches + FRAME_INCHES))
    grid = list(page.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared).flat)
    for axes in grid[count:]:
        axes.set_axis_off()
    return grid[:count]


def panel_columns(count: int, width_inches: float, least_inches: float) -> int:
    """How many panels stand beside each other, in rows as even as can be."""
    fitting = max(1, int(width_inches / least_inches))
    return math.ceil(count / math.ceil(count / fitting))


def plot_inches(
    count: int, width_inches: float, least_inches: float, wanted: float, legend: Iterable[str] = ()
) -> float:
    """The height of each of so many plots: as wanted, or what leaves a page that fits on paper.

    A `legend` of many names takes from the plots what is beyond the usual.
    """
    rows = math.ceil(count / panel_columns(count, width_inches, least_inches))
    beyond = max(0.0, legend_inches(list(legend), width_inches) - USUAL_LEGEND_INCHES)
    return min(wanted, (PANELS_INCHES - beyond) / rows - FRAME_INCHES)


def add_legend(page: Figure) -> None:
    """One legend over all panels, with each name once, for which the page grows."""
    handles = {
        str(handle.get_label()): handle
        for axes in page.axes
        for handle in axes.get_legend_handles_labels()[0]
    }
    if handles:
        names = [brief(name) for name in handles]
        columns = _legend_columns(names, page.get_figwidth())
        page.legend(handles.values(), names, loc="outside upper center", ncols=columns)
        _grow(page, legend_inches(list(handles), page.get_figwidth()))


def legend_inches(titles: Sequence[str], width_inches: float) -> float:
    """The height of a legend of these; nought of none."""
    if not titles:
        return 0.0
    columns = _legend_columns(list(map(brief, titles)), width_inches)
    wrapped = sum(lines_of(title) - 1 for title in titles)
    return LINE_INCHES * (math.ceil(len(titles) / columns) + wrapped + 0.5)


def add_note(page: Figure, text: str, wanted: PrintSize) -> None:
    """What a reader must know, at the foot of a page, which grows for it; nothing on a bare one."""
    if wanted.bare:
        return
    lines = textwrap.wrap(text, int(page.get_figwidth() / LETTER_INCHES))
    page.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=SMALL, color=GREY)
    _grow(page, LINE_INCHES * (len(lines) + 0.5))


def is_first_of_row(axes: Axes) -> bool:
    """Whether nothing stands left of a panel."""
    spec = axes.get_subplotspec()
    return spec is not None and spec.is_first_col()


def save(figure: Figure, stem: Path, wanted: PrintSize) -> list[Path]:
    """Write a figure in all formats that are wanted, equal bytes for equal figures, and return the files."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in wanted.formats]
    for path, kind in zip(paths, wanted.formats, strict=True):
        figure.savefig(path, metadata=UNDATED.get(kind))
    return paths


def _legend_columns(names: Sequence[str], width_inches: float) -> int:
    """How many names stand beside each other, when they go down each column in turn."""
    return next(
        (count for count in range(len(names), 1, -1) if _columns_inches(names, count) <= width_inches), 1
    )


def _columns_inches(names: Sequence[str], columns: int) -> float:
    """The width of so many columns of names, the last of which are the shorter ones."""
    letters = [max(len(row) for row in name.split("\n")) for name in names]
    longest = [int(column.max()) for column in np.array_split(letters, columns)]
    return columns * LEGEND_HANDLE_INCHES + LETTER_INCHES * sum(longest)


def _grow(page: Figure, inches: float) -> None:
    page.set_figheight(page.get_figheight() + inches)
