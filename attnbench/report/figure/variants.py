"""The ledger's figure: how fast each variant makes mechanisms, and where their order changes."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.analysis.rows import measured
from attnbench.analysis.variant_matrix import Ledger
from attnbench.cases.variant import Variant
from attnbench.report.colours import Ink, Inks, inks_of
from attnbench.report.figure.axis import set_log_heights
from attnbench.report.figure.end_labels import name_at_the_side, names_inches
from attnbench.report.figure.file_names import machines, setting_words
from attnbench.report.figure.page import add_note, add_panels, new_page, save
from attnbench.report.figure.print_size import PLAIN, Print, Width
from attnbench.report.figure.style import (
    LETTER_INCHES,
    LINE_INCHES,
    POINT_SIZE,
    SMALL,
    brief,
    errors,
    line,
    styled,
)
from attnbench.statistics import Estimate

PLOT_INCHES = 1.7
SLOPE = 40.0  # degrees, of variants' names that do not fit beside each other
MOST_SLOPING = 28  # letters; longer names would reach too far to the left
BESIDE_INCHES = 0.75  # the axis of throughputs, and the gap before the names at the side


def save_ledgers(ledgers: Sequence[Ledger], folder: Path, wanted: Print = PLAIN) -> list[Path]:
    """Draw `kernels.png` and `kernels.pdf` if a ledger has a time, and return the files."""
    timed = [ledger for ledger in ledgers if measured(ledger.rows)]
    return save(ledgers_page(timed, wanted), folder / "kernels", wanted) if timed else []


def ledgers_page(ledgers: Sequence[Ledger], wanted: Print = PLAIN) -> Figure:
    """A panel for each ledger; all must have a time."""
    inks, width = inks_of(label for ledger in ledgers for label in ledger.titles), wanted.inches(Width.page)
    names = [[_name(ledger, *found) for found in _bests(ledger).items()] for ledger in ledgers]
    slope = max(_slope(by_gain(each), mine, width) for each, mine in zip(ledgers, names, strict=True))
    ticks_inches = max(_ticks_inches(by_gain(ledger), slope) for ledger in ledgers)
    height = max(PLOT_INCHES, *map(names_inches, names)) + ticks_inches
    with styled():
        page = new_page(width)
        for axes, ledger in zip(add_panels(page, len(ledgers), width, height), ledgers, strict=True):
            axes.set_title(_title(ledger, width) if len(ledgers) > 1 else "", fontsize=SMALL, loc="left")
            draw_ledger(axes, ledger, inks, slope)
        add_note(page, _note(ledgers), wanted)
    return page


def draw_ledger(axes: Axes, ledger: Ledger, inks: Inks, slope: float = 0.0) -> None:
    """A line a mechanism over the variants, those after the reference in the order of their mean gain.

    The mark of its best variant is filled, and how much that gains stands beside its name. A gap is where it
    has no time.
    """
    places, ends, colours = by_gain(ledger), [], {}
    for label, best in _bests(ledger).items():
        throughputs, ink, name = _throughputs(ledger, label, places), inks[label], _name(ledger, label, best)
        _draw_line(axes, throughputs, ink)
        top = places.index(best)
        axes.plot(top, throughputs[top].value, ink.marker, color=ink.colour, markersize=POINT_SIZE, zorder=4)
        last = max(place for place, found in enumerate(throughputs) if not math.isnan(found.value))
        ends.append((name, (float(last), throughputs[last].value)))
        colours[name] = ink.colour
    _set_axes(axes, places, slope)
    name_at_the_side(axes, ends, colours)


def by_gain(ledger: Ledger) -> list[Variant]:
    """The variants that have a time: the reference, then the others from the smallest mean gain up."""
    others = [variant for variant in ledger.variants if ledger.timed(variant) and variant != ledger.reference]
    return [ledger.reference, *sorted(others, key=lambda variant: _mean_gain(ledger, variant))]


def _mean_gain(ledger: Ledger, variant: Variant) -> float:
    """The mean logarithm over all mechanisms that have a gain in a variant; nought where none has."""
    cells = [cell for (_, where), cell in ledger.cells.items() if where == variant]
    gains = [math.log(cell.gain.value) for cell in cells if cell.gain]
    return fmean(gains) if gains else 0.0


def _bests(ledger: Ledger) -> dict[str, Variant]:
    """The best variant of each mechanism that has a time."""
    return {label: best for label in ledger.titles if (best := ledger.best(label))}


def _throughputs(ledger: Ledger, label: str, places: Sequence[Variant]) -> list[Estimate]:
    found = {row.record.variant: row for row in measured(ledger.rows) if row.record.label == label}
    return [
        found[variant].timing.throughput if variant in found else Estimate(math.nan) for variant in places
    ]


def _draw_line(axes: Axes, throughputs: Sequence[Estimate], ink: Ink) -> None:
    values = [estimate.value for estimate in throughputs]
    how = {**line(ink), "markerfacecolor": "white"}
    axes.errorbar(range(len(values)), values, yerr=errors(throughputs), **how)


def _name(ledger: Ledger, label: str, best: Variant) -> str:
    gain = ledger.cells[label, best].gain
    return ledger.titles[label] + (f" ({gain.value:.2f}×)" if gain else "")


def _set_axes(axes: Axes, places: Sequence[Variant], slope: float) -> None:
    set_log_heights(axes, *axes.dataLim.intervaly)
    axes.set_ylabel("Throughput (images/s)")
    axes.set_xlim(-0.2, len(places) - 0.8)
    names = [variant.brief for variant in places]
    if slope:
        axes.set_xticks(
            range(len(names)), names, rotation=slope, ha="right", va="center", rotation_mode="anchor"
        )
    else:
        axes.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
    axes.grid(axis="x")


def _slope(places: Sequence[Variant], names: Sequence[str], width_inches: float) -> float:
    """The least of the slopes at which variants' names do not touch, beside the names at the side."""
    beside = LETTER_INCHES * max(len(row) for name in names for row in brief(name).split("\n"))
    each = (width_inches - BESIDE_INCHES - beside) / len(places)
    longest = max(len(word) for variant in places for word in variant.brief.split())
    if each > LETTER_INCHES * (longest + 1):
        return 0.0
    sine = math.sin(math.radians(SLOPE))
    return SLOPE if each > LINE_INCHES / sine and _letters(places) <= MOST_SLOPING else 90.0


def _ticks_inches(places: Sequence[Variant], slope: float) -> float:
    """The height of variants' names beyond a line."""
    if slope:
        return math.sin(math.radians(slope)) * LETTER_INCHES * _letters(places)
    return LINE_INCHES * max(variant.brief.count(" ") for variant in places)


def _letters(places: Sequence[Variant]) -> int:
    return max(len(variant.brief) for variant in places)


def _title(ledger: Ledger, width_inches: float) -> str:
    words = f"{ledger.device}: {setting_words(ledger.rows[0].record, variant=False)}"
    return textwrap.fill(words, int((width_inches - BESIDE_INCHES) / LETTER_INCHES))


def _note(ledgers: Sequence[Ledger]) -> str:
    references = dict.fromkeys(ledger.reference.brief for ledger in ledgers)
    key = f"Filled: the best variant of a mechanism; in brackets: its speed over {' or '.join(references)}."
    settings = [f"{setting_words(ledgers[0].rows[0].record, variant=False)}."] * (len(ledgers) == 1)
    return " ".join([key, *settings, machines(row.record for ledger in ledgers for row in ledger.rows)])
