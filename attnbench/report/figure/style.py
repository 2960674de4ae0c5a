"""What all figures share: fonts, lines, sizes, files, and the marks of an interval."""

import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from matplotlib import style

from attnbench.report.colours import MarkStyle
from attnbench.statistics import Estimate

SMALL = 7  # points, of what is read beside a figure's labels; nothing is smaller
GREY, PALE = "0.35", "0.75"  # of words and of lines that are no data
LINE_INCHES = 0.13  # from one line of small text to the next
LETTER_INCHES = 0.052  # the mean width of a small letter
TITLE_LETTERS = 24  # of a mechanism's title, on a line
POINT_SIZE = 5.0  # of a mark that is no part of a line
BRANCH_DASHES = ("-.", ":", (0, (5, 1, 1, 1, 1, 1)))  # of a layer whose whole is a solid line
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures are alike on every machine
    "font.size": 8,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.titlepad": 4,
    "axes.labelpad": 2.5,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "legend.columnspacing": 1.2,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.5,
    **{
        f"{axis}tick.major.{what}": size
        for axis in "xy"
        for what, size in {"size": 2.5, "width": 0.6}.items()
    },
    **{
        f"{axis}tick.minor.{what}": size
        for axis in "xy"
        for what, size in {"size": 1.5, "width": 0.4}.items()
    },
    "lines.linewidth": 1.1,
    "lines.markersize": 3.8,
    "lines.markeredgewidth": 0.8,
    "errorbar.capsize": 1.5,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 300,
    "savefig.bbox": None,  # a tight box would change the width
    "pdf.fonttype": 42,  # outlines that a publisher's checks accept, and never Type 3
    "ps.fonttype": 42,
    "svg.fonttype": "path",  # looks the same where the font is not installed
    "svg.hashsalt": "attnbench",
}
UNDATED: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
HALO: dict[str, Any] = {"fmt": "none", "ecolor": "white", "elinewidth": 2.5, "capsize": 2.2, "capthick": 2.2}

CROSS: dict[str, Any] = {
    "marker": "x",
    "linestyle": "none",
    "color": "black",
    "markeredgewidth": 1.0,
    "clip_on": False,
    "zorder": 3,
}  # of what did not fit into memory


def styled() -> AbstractContextManager[None]:
    """Where figures are made and saved: the style, whatever the user's own settings of matplotlib are."""
    return style.context(STYLE, after_reset=True)


def brief(title: str) -> str:
    """A mechanism's title in lines that leave a panel beside it its room."""
    return textwrap.fill(title, TITLE_LETTERS)


def lines_of(title: str) -> int:
    """How many lines a mechanism's title takes."""
    return brief(title).count("\n") + 1


def line(style: MarkStyle) -> dict[str, Any]:
    """How a mechanism's line is drawn, with its marks."""
    return {"color": style.colour, "marker": style.marker, "linestyle": style.dash}


def point(style: MarkStyle) -> dict[str, Any]:
    """How a mechanism is drawn where it has no line."""
    how = {"color": style.colour, "marker": style.marker, "fillstyle": style.fill, "linestyle": "none"}
    return {**how, "markersize": POINT_SIZE}


def errors(estimates: Sequence[Estimate], scale: float = 1.0) -> list[list[float]]:
    """Distances from the values down to the low ends and up to the high ends; nought without an interval."""
    return [
        [scale * (e.value - e.low) if e.low is not None else 0.0 for e in estimates],
        [scale * (e.high - e.value) if e.high is not None else 0.0 for e in estimates],
    ]
