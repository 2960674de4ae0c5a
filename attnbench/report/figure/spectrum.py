"""Figures of spectra: the channels of each branch (Figure 5), and every layer's amplitude over frequency."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.records.spectrum import NYQUIST, PANELS, Array, Curve, Part, Spectrum, Survey
from attnbench.report.colours import mark_styles_of
from attnbench.report.figure.end_labels import name_at_the_side, names_inches
from attnbench.report.figure.page import add_note, add_panels, new_page, panel_columns, save
from attnbench.report.figure.print_size import PLAIN, PrintSize, Width
from attnbench.report.figure.style import BRANCH_DASHES, GREY, LINE_INCHES, PALE, SMALL, styled
from attnbench.report.spectrum import caption

CHANNEL_INCHES = 0.65  # the least width of a channel's panel
SCALE_INCHES = 0.7  # the width of the colour bar with its numbers
TALLEST = 3  # rows per column of a map; one that is taller is drawn narrower
PLOT_INCHES = 2.0
Draw = Callable[[Axes, Survey], None]


def save_figures(survey: Survey, folder: Path, wanted: PrintSize = PLAIN) -> list[Path]:
    """Draw the channels of every layer, and the curves of all together; return the files."""
    paths = []
    for layer in survey.layers:
        page = channels_page(survey, layer, wanted)
        paths += save(page, folder / f"spectrum-{file_name(layer.label)}", wanted)
    for name, draw in CURVES.items():
        paths += save(curves_page(survey, draw, wanted), folder / name, wanted)
    return paths


def file_name(label: str) -> str:
    """A label with nothing in it that a file's name may not hold: `hilo-alpha-0.5`."""
    return re.sub(r"[^\w.-]", "-", label)


def draw_channels(row: Sequence[Axes], part: Part, ends: tuple[float, float]) -> None:
    """One panel a channel, lighter where the amplitude is larger, on a scale between these ends."""
    low, high = ends
    for axes, channel, panel in zip(row, part.shown, part.panels, strict=False):
        axes.imshow(panel, cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
        axes.set_title(f"channel {channel}", fontsize=SMALL, pad=2)
    for axes in row:
        axes.set_axis_off()
    scale = row[0].figure.colorbar(row[0].images[0], ax=list(row), pad=0.01, aspect=12)
    scale.set_label("log₁₀ |FFT|", fontsize=SMALL)


def draw_profiles(axes: Axes, survey: Survey) -> None:
    """Each curve from 0 in its lowest ring; the input's own is dashed."""
    source = survey.source.profile
    axes.plot(survey.frequencies, source, color="black", linestyle="--", zorder=3, label="input")
    axes.set_ylabel("Mean log₁₀ amplitude, lowest ring = 0")
    _draw_curves(axes, survey, [curve.profile for curve in survey.curves], {"input": source})


def draw_gains(axes: Axes, survey: Survey) -> None:
    """Each curve relative to the input's amplitude in the same ring."""
    axes.axhline(0, color="black", linestyle="--", zorder=3)
    axes.set_ylabel("Mean log₁₀ amplitude, input = 0")
    _draw_curves(axes, survey, [curve.gain for curve in survey.curves], {"input": 0 * survey.frequencies})


CURVES: dict[str, Draw] = {"profile": draw_profiles, "gain": draw_gains}


def channels_page(survey: Survey, layer: Spectrum, wanted: PrintSize = PLAIN) -> Figure:
    """Figure 5: a row of panels for each branch, or one for the whole output, all on one scale."""
    width = wanted.inches(Width.page)
    columns = panel_columns(PANELS, width - SCALE_INCHES, CHANNEL_INCHES)
    steepness = min(TALLEST, survey.geometry.height / survey.geometry.width)
    line_inches = LINE_INCHES + steepness * (width - SCALE_INCHES) / columns
    lines = math.ceil(PANELS / columns)
    shown = [part.panels for part in layer.rows]
    ends = float(min(map(np.min, shown))), float(max(map(np.max, shown)))
    with styled():
        page = new_page(width, len(layer.rows) * (lines * line_inches + 1.5 * LINE_INCHES))
        strips = page.subfigures(len(layer.rows), 1, squeeze=False).flat
        for strip, part in zip(strips, layer.rows, strict=True):
            strip.suptitle(part.title or layer.title, x=0.01, ha="left")
            draw_channels(list(strip.subplots(lines, columns, squeeze=False).flat), part, ends)
        centre = "All panels have one scale; their centre is frequency zero, of which the maps have nothing."
        add_note(page, f"{layer.title}: {caption(survey)} {centre}", wanted)
    page.draw_without_rendering()  # only a second layout knows how wide the scales' numbers are
    return page


def curves_page(survey: Survey, draw: Draw, wanted: PrintSize = PLAIN) -> Figure:
    """All curves on one pair of axes."""
    names = ["input", *(curve.name for curve in survey.curves)]
    plot_inches = max(PLOT_INCHES, names_inches(names))
    with styled():
        page = new_page(wanted.inches(Width.column))
        (axes,) = add_panels(page, 1, PLOT_INCHES, plot_inches)
        draw(axes, survey)
        add_note(page, caption(survey), wanted)
    return page


def _draw_curves(axes: Axes, survey: Survey, values: Sequence[Array], reference: dict[str, Array]) -> None:
    """A line for each curve in its layer's colour, branches dashed, all named at the right."""
    styles, frequencies = mark_styles_of(layer.label for layer in survey.layers), survey.frequencies
    colours = {curve.name: styles[curve.label].colour for curve in survey.curves}
    for curve, numbers in zip(survey.curves, values, strict=True):
        style, dash = colours[curve.name], _dash(survey, curve)
        axes.plot(frequencies, numbers, color=style, linestyle=dash, label=curve.name)
    axes.axvline(NYQUIST, color=PALE, linewidth=0.8, zorder=0)
    axes.set_xlim(0, frequencies[-1])
    position, over = (NYQUIST, 1.01), ("data", "axes fraction")
    axes.annotate("Nyquist of an axis", position, xycoords=over, ha="center", fontsize=SMALL, color=GREY)
    ends = {curve.name: numbers for curve, numbers in zip(survey.curves, values, strict=True)} | reference
    points = [(name, (float(frequencies[-1]), float(numbers[-1]))) for name, numbers in ends.items()]
    axes.set_xlabel("Spatial frequency (cycles per token)")
    name_at_the_side(axes, points, colours)


def _dash(survey: Survey, curve: Curve) -> str | tuple[int, tuple[int, ...]]:
    """Solid for a layer's whole output, then each branch its own."""
    (layer,) = (layer for layer in survey.layers if layer.label == curve.label)
    dashes = ("-", *BRANCH_DASHES)
    return dashes[[part.title for part in layer.parts].index(curve.branch) % len(dashes)]
