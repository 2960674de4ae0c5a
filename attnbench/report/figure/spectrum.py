"""Figures of spectra: the channels of each branch (Figure 5), and every layer's amplitude over frequency."""

import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.report.figure.style import LABEL_GAP, PANEL_INCHES, STYLE, colour, label_at_the_side, save
from attnbench.report.spectrum import caption
from attnbench.spectra import NYQUIST, PANELS, Array, Curve, Part, Spectrum, Survey

DASHES = ("-", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))  # the whole output, then its branches in order
CHANNELS_INCHES = 9.6
CHANNEL_INCHES = 1.1  # the width of one
TALLEST = 3  # rows per column of a map; one that is taller is drawn narrower
CAPTION_LETTERS_AN_INCH = 17.5
Draw = Callable[[Axes, Survey], None]


def save_figures(survey: Survey, folder: Path) -> list[Path]:
    """Draw the channels of every layer, and the curves of all together; return the files."""
    paths = []
    for layer in survey.layers:
        paths += save(channels_page(survey, layer), folder / f"spectrum-{file_name(layer.label)}")
    for name, draw in CURVES.items():
        paths += save(curves_page(survey, draw), folder / name)
    return paths


def file_name(label: str) -> str:
    """A label with nothing in it that a file's name may not hold: `hilo-alpha-0.5`."""
    return re.sub(r"[^\w.-]", "-", label)


def draw_channels(row: Sequence[Axes], part: Part) -> None:
    """One panel a channel, lighter where the amplitude is larger, on one scale over the row."""
    panels = part.panels
    for axes, channel, panel in zip(row, part.shown, panels, strict=False):
        axes.imshow(panel, cmap="viridis", vmin=panels.min(), vmax=panels.max())
        axes.set_title(f"channel {channel}", fontsize=7, pad=2)
    for axes in row:
        axes.set_axis_off()
    scale = row[0].figure.colorbar(row[0].images[0], ax=list(row), pad=0.01, aspect=10)
    scale.ax.tick_params(labelsize=7)
    scale.set_label("log₁₀ |FFT|", fontsize=7)


def draw_profiles(axes: Axes, survey: Survey) -> None:
    """Each curve from 0 in its lowest ring; the input's own is dashed."""
    source = survey.source.profile
    axes.plot(survey.frequencies, source, color="black", linestyle="--", linewidth=1, zorder=3, label="input")
    _draw_curves(axes, survey, [curve.profile for curve in survey.curves], {"input": source})
    axes.set_ylabel("Mean log₁₀ amplitude, lowest ring = 0")


def draw_gains(axes: Axes, survey: Survey) -> None:
    """Each curve relative to the input's amplitude in the same ring."""
    axes.axhline(0, color="black", linestyle="--", linewidth=1, zorder=3)
    _draw_curves(axes, survey, [curve.gain for curve in survey.curves], {"input": 0 * survey.frequencies})
    axes.set_ylabel("Mean log₁₀ amplitude, input = 0")


CURVES: dict[str, Draw] = {"profile": draw_profiles, "gain": draw_gains}


def channels_page(survey: Survey, layer: Spectrum) -> Figure:
    """Figure 5: a row of panels for each branch, or one for the whole output."""
    with mpl.rc_context(STYLE):
        row_inches = 0.45 + CHANNEL_INCHES * min(TALLEST, survey.geometry.height / survey.geometry.width)
        height = row_inches * len(layer.rows) + 0.4
        figure = Figure(figsize=(CHANNELS_INCHES, height), layout="constrained")
        strips = figure.subfigures(len(layer.rows), 1, squeeze=False).flat
        for strip, part in zip(strips, layer.rows, strict=True):
            strip.suptitle(part.title or layer.title, fontsize=9, x=0.01, ha="left")
            draw_channels(list(strip.subplots(1, PANELS, squeeze=False).flat), part)
        centre = "The centre of a panel is frequency zero, of which the maps have nothing."
        _write_below(figure, f"{layer.title}: {caption(survey)} {centre}")
    return figure


def curves_page(survey: Survey, draw: Draw) -> Figure:
    """All curves on one pair of axes."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PANEL_INCHES[0] + 1, PANEL_INCHES[1]), layout="constrained")
        draw(figure.subplots(), survey)
        _write_below(figure, caption(survey))
    return figure


def _draw_curves(axes: Axes, survey: Survey, values: Sequence[Array], reference: dict[str, Array]) -> None:
    """A line for each curve in its layer's colour, branches dashed, all named at the right."""
    labels = [layer.label for layer in survey.layers]
    frequencies = survey.frequencies
    colours = {curve.name: colour(curve.label, labels) for curve in survey.curves}
    for curve, numbers in zip(survey.curves, values, strict=True):
        axes.plot(
            frequencies, numbers, color=colours[curve.name], linestyle=_dash(survey, curve), label=curve.name
        )
    axes.axvline(NYQUIST, color="0.6", linewidth=0.8, zorder=0)
    axes.set_xlim(0, frequencies[-1])
    axes.annotate(
        "Nyquist of an axis", (NYQUIST, 1.01), xycoords=("data", "axes fraction"), ha="center",
        fontsize=8, color="0.4",
    )  # fmt: skip
    low, high = axes.get_ylim()
    ends = {curve.name: numbers for curve, numbers in zip(survey.curves, values, strict=True)} | reference
    points = {name: (float(frequencies[-1]), float(numbers[-1])) for name, numbers in ends.items()}
    label_at_the_side(axes, points, float(frequencies[-1]), LABEL_GAP * (high - low), colours)
    axes.set_xlabel("Spatial frequency (cycles per token)")


def _dash(survey: Survey, curve: Curve) -> str | tuple[int, tuple[int, ...]]:
    (layer,) = (layer for layer in survey.layers if layer.label == curve.label)
    place = [part.title for part in layer.parts].index(curve.branch)
    return DASHES[place % len(DASHES)]


def _write_below(figure: Figure, text: str) -> None:
    letters = int(figure.get_figwidth() * CAPTION_LETTERS_AN_INCH)
    figure.supxlabel(textwrap.fill(text, letters), x=0.01, ha="left", fontsize=7.5)
