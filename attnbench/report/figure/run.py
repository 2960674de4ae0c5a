"""All figures of a run, each on its page and in its files."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from attnbench.report.figure.block import FIGURES, Draw, draw_ratios
from attnbench.report.figure.style import PANEL_INCHES, STYLE, machine_of, save
from attnbench.report.metrics import Measured, Row, measured


def save_figures(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw all figures of a run, one set a size, one panel a device; return the files."""
    paths = []
    with_time = measured(rows)
    sizes = list(dict.fromkeys(row.size for row in with_time))
    for size in sizes:
        mine = [row for row in with_time if row.size == size]
        suffix = f"-{size}" if len(sizes) > 1 else ""
        for name, draw in FIGURES.items():
            if draw is draw_ratios and not any(row.timing.speed for row in mine):
                continue  # no baseline was measured
            paths += save(_page(draw, mine), folder / f"{name}{suffix}")
    return paths


def _page(draw: Draw, rows: Sequence[Measured]) -> Figure:
    devices = list(dict.fromkeys(row.device for row in rows))
    width, height = PANEL_INCHES
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width * len(devices), height), layout="constrained")
        for axes, device in zip(figure.subplots(1, len(devices), squeeze=False).flat, devices, strict=True):
            mine = [row for row in rows if row.device == device]
            record = mine[0].record
            size = f"{record.height}×{record.width} tokens"
            setting = f"{size}, batch {record.batch}, {record.dtype}, {record.kernel} kernel"
            title = f"{machine_of(record)}\n{setting}"
            axes.set_title(title, fontsize=8, loc="right")  # labels widen the left
            draw(axes, mine)
    return figure
