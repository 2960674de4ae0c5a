"""All figures of a run, each on its page and in its files."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.analysis.rows import Measured, Row, grouped, measured, setting
from attnbench.report.colours import MarkStyles, mark_styles_of
from attnbench.report.figure.block import draw_flops_against_time, draw_ratios, draw_throughput
from attnbench.report.figure.file_names import note, suffix
from attnbench.report.figure.page import add_legend, add_note, add_panels, new_page, plot_inches, save
from attnbench.report.figure.pareto import LEAST_LAYERS, pareto_page
from attnbench.report.figure.print_size import PLAIN, PrintSize, Width
from attnbench.report.figure.scaling import scaling_pages
from attnbench.report.figure.settings import settings_pages
from attnbench.report.figure.style import lines_of, styled

Draw = Callable[[Axes, Sequence[Measured]], None]
PANEL_INCHES = 3.2  # the least width of one
PLOT_INCHES = 1.6  # the least height of what is inside its axes
MANY = 4  # settings, from which on their own figures are drawn only where they are asked for
ROW_INCHES = 0.16  # a bar with its gap, where titles take a line


def save_figures(rows: Sequence[Row], folder: Path, wanted: PrintSize = PLAIN) -> list[Path]:
    """Draw a set of figures for each setting of a run, and those over its sizes and over settings.

    Those of single settings are left out of a run that has many, unless they are asked for. Return the files.
    """
    paths = []
    many = not wanted.kinds and len(settings_of(rows)) > MANY
    for pages in (*(() if many else (setting_pages,)), scaling_pages, settings_pages):
        for name, page in pages(rows, wanted):
            paths += save(page, folder / name, wanted)
    return paths


def setting_pages(rows: Sequence[Row], wanted: PrintSize = PLAIN) -> Iterator[tuple[str, Figure]]:
    """The figures of each setting with their names, one panel a device."""
    timed = measured(rows)
    styles = mark_styles_of((row.record.case.label for row in rows), wanted.highlight)
    records = [row.record for row in timed]
    for mine in grouped(timed, setting):
        end = suffix(mine[0].record, records, without={"device"})
        for name, draw in _drawings(mine, styles, wanted).items():
            if wanted.wants(name):
                yield f"{name}{end}", _page(draw, mine, wanted)
        if wanted.wants("front") and len({row.record.case.label for row in mine}) >= LEAST_LAYERS:
            yield f"front{end}", pareto_page(mine, styles, wanted)


def settings_of(rows: Sequence[Row]) -> list[list[Measured]]:
    """The rows with a time, those of each setting together."""
    return grouped(measured(rows), setting)


def _drawings(rows: Sequence[Measured], styles: MarkStyles, wanted: PrintSize) -> dict[str, Draw]:
    """What draws each figure of a setting that has rows for it."""
    ratios = partial(draw_ratios, styles=styles if wanted.highlight else None)
    return {
        "throughput": partial(draw_throughput, styles=styles),
        **({"ratios": ratios} if any(row.timing.speed for row in rows) else {}),
        "flops-time": partial(draw_flops_against_time, styles=styles),
    }


def _page(draw: Draw, rows: Sequence[Measured], wanted: PrintSize) -> Figure:
    devices = grouped(rows, lambda row: row.device)
    width = wanted.inches(Width.column if len(devices) == 1 else Width.page)
    with styled():
        page = new_page(width)
        height = plot_inches(len(devices), width, PANEL_INCHES, _bars_inches(rows))
        for axes, mine in zip(add_panels(page, len(devices), PANEL_INCHES, height), devices, strict=True):
            axes.set_title(mine[0].device if len(devices) > 1 else "", loc="left")
            draw(axes, mine)
        add_legend(page)
        add_note(page, note([row.record for row in rows]), wanted)
    return page


def _bars_inches(rows: Sequence[Measured]) -> float:
    """The height of a bar, or of a name, for each layer of a setting."""
    titles = {row.record.case.title for row in rows}
    return max(PLOT_INCHES, ROW_INCHES * len(titles) * max(map(lines_of, titles)))
