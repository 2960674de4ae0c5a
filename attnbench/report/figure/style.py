"""What all figures share: fonts, colours, files, and the marks of an interval."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from attnbench.paper import published
from attnbench.record import Record
from attnbench.statistics import Estimate
from attnbench.sweep import BASELINE

FORMATS = ("png", "pdf")
PANEL_INCHES = (5.2, 4.6)
TITLE_LETTERS = 72  # as many as fit over a panel
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "pdf.fonttype": 42,  # fonts that a publisher's checks accept
    "savefig.dpi": 200,
}
_TAB20 = [mpl.colors.to_hex(rgb) for rgb in mpl.colormaps["tab20"].colors]  # type: ignore[attr-defined]
PALETTE = _TAB20[0::2] + _TAB20[1::2]  # strong colours first


def colour(label: str, labels: Sequence[str]) -> str:
    """A mechanism's colour: fixed for those of Table IV, then in order of appearance among `labels`."""
    known = sorted(published(), key=lambda name: name not in ("hilo", BASELINE))
    names = known + [other for other in labels if other not in known]
    return PALETTE[names.index(label) % len(PALETTE)]


def machine_of(record: Record) -> str:
    """The machine that a record is from, in lines that fit over a panel."""
    return textwrap.fill(record.machine.describe(record.device, record.threads), TITLE_LETTERS)


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as bitmap and as vectors, and return the files."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in FORMATS]
    with mpl.rc_context(STYLE):
        for path in paths:
            figure.savefig(path)
    return paths


def errors(estimates: Sequence[Estimate], scale: float = 1.0) -> list[list[float]]:
    """Distances from the values down to the low ends and up to the high ends; nought without an interval."""
    return [
        [scale * (e.value - e.low) if e.low is not None else 0.0 for e in estimates],
        [scale * (e.high - e.value) if e.high is not None else 0.0 for e in estimates],
    ]
