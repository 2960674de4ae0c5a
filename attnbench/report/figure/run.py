"""All figures of a run, each on its page and in its files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from attnbench.report.figure.block import FIGURES, Draw, draw_ratios
from attnbench.report.figure.scaling import scaling_pages
from attnbench.report.figure.settings import settings_pages
from attnbench.report.figure.style import PANEL_INCHES, STYLE, machine_of, save, suffix
from attnbench.report.metrics import Measured, Row, grouped, measured, setting


def save_figures(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw a set of figures for each setting of a run, and those over its sizes and over settings.

    Return the files.
    """
    paths = []
    with mpl.rc_context(STYLE):
        for pages in (setting_pages(measured(rows)), scaling_pages(rows), settings_pages(rows)):
            for name, page in pages:
                paths += save(page, folder / name)
    return paths


def setting_pages(rows: Sequence[Measured]) -> Iterator[tuple[str, Figure]]:
    """The figures of each setting with their names, one panel a device."""
    records = [row.record for row in rows]
    for mine in grouped(rows, setting):
        end = suffix(mine[0].record, records, without={"device"})
        for name, draw in FIGURES.items():
            if draw is draw_ratios and not any(row.timing.speed for row in mine):
                continue  # no baseline was measured
            yield f"{name}{end}", _page(draw, mine)


def _page(draw: Draw, rows: Sequence[Measured]) -> Figure:
    devices = grouped(rows, lambda row: row.device)
    width, height = PANEL_INCHES
    figure = Figure(figsize=(width * len(devices), height), layout="constrained")
    for axes, mine in zip(figure.subplots(1, len(devices), squeeze=False).flat, devices, strict=True):
        record = mine[0].record
        size = f"{record.height}×{record.width} tokens"
        words = f"{size}, batch {record.batch}, {record.variant.title}"
        training = ", training" if record.mode == "training" else ""
        title = f"{machine_of(record)}\n{words}{training}"
        axes.set_title(title, fontsize=8, loc="right")  # labels widen the left
        draw(axes, mine)
    return figure
