"""The ledger's figure: how fast each variant makes mechanisms, and where their order changes."""

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from attnbench.report.figure.style import (
    PAGE_INCHES,
    PAGE_LETTERS,
    STYLE,
    colour,
    errors,
    machine_of,
    marker,
    name_at_the_side,
    save,
)
from attnbench.report.ledger import Ledger
from attnbench.report.metrics import measured
from attnbench.statistics import Estimate
from attnbench.variant import Variant

NAME_INCHES = 0.15  # a name at the side, with the gap to the next
LEAST_INCHES = 1.8
FRAME_INCHES = 1.05  # a panel's title, and the names of variants
MOST_LEVEL = 9  # variants whose names fit beside each other
NARROW = 300.0  # a log axis over less than this has ticks at 2 and 5 too


def save_ledgers(ledgers: Sequence[Ledger], folder: Path) -> list[Path]:
    """Draw `kernels.png` and `kernels.pdf`, a panel a ledger that has a time, and return the files."""
    drawn = [ledger for ledger in ledgers if measured(ledger.rows)]
    if not drawn:
        return []
    heights = [_height_inches(ledger) + FRAME_INCHES for ledger in drawn]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE_INCHES, sum(heights)), layout="constrained")
        panels = figure.subplots(len(drawn), 1, squeeze=False, height_ratios=heights).flat
        for axes, ledger in zip(panels, drawn, strict=True):
            draw_ledger(axes, ledger)
        return save(figure, folder / "kernels")


def draw_ledger(axes: Axes, ledger: Ledger) -> None:
    """A line a mechanism over the variants, those after the reference in the order of their mean gain.

    The mark of its best variant is filled, and how much that gains stands beside its name. A gap is where it
    has no time.
    """
    places, labels = by_gain(ledger), list(ledger.titles)
    ends, inks = [], {}
    for label, best in ((label, ledger.best(label)) for label in labels):
        if best:
            throughputs = _throughputs(ledger, label, places)
            ink, mark = colour(label, labels), marker(label, labels)
            _draw_line(axes, throughputs, ink, mark)
            top = places.index(best)
            axes.plot(top, throughputs[top].value, mark, color=ink, markersize=5.5, zorder=4)
            last = max(place for place, found in enumerate(throughputs) if not math.isnan(found.value))
            name = _name(ledger, label, best)
            inks[name] = ink
            ends.append((name, (float(last), throughputs[last].value)))
    _set_axes(axes, ledger, places)
    name_at_the_side(axes, ends, NAME_INCHES / _height_inches(ledger), inks)


def by_gain(ledger: Ledger) -> list[Variant]:
    """The variants that have a time: the reference, then the others from the smallest mean gain up."""
    others = [variant for variant in ledger.variants if ledger.timed(variant) and variant != ledger.reference]
    return [ledger.reference, *sorted(others, key=lambda variant: _mean_gain(ledger, variant))]


def _mean_gain(ledger: Ledger, variant: Variant) -> float:
    """The mean logarithm over all mechanisms that have a gain in a variant; nought where none has."""
    cells = [cell for (_, where), cell in ledger.cells.items() if where == variant]
    gains = [math.log(cell.gain.value) for cell in cells if cell.gain]
    return fmean(gains) if gains else 0.0


def _throughputs(ledger: Ledger, label: str, places: Sequence[Variant]) -> list[Estimate]:
    found = {row.record.variant: row for row in measured(ledger.rows) if row.record.label == label}
    return [
        found[variant].timing.throughput if variant in found else Estimate(math.nan) for variant in places
    ]


def _draw_line(axes: Axes, throughputs: Sequence[Estimate], ink: str, mark: str) -> None:
    axes.errorbar(
        range(len(throughputs)),
        [estimate.value for estimate in throughputs],
        yerr=errors(throughputs),
        color=ink,
        marker=mark,
        markerfacecolor="white",
        markersize=3.5,
        linewidth=1.1,
        elinewidth=0.8,
        capsize=1.5,
    )


def _name(ledger: Ledger, label: str, best: Variant) -> str:
    gain = ledger.cells[label, best].gain
    return ledger.titles[label] + (f" ({gain.value:.2f}×)" if gain else "")


def _set_axes(axes: Axes, ledger: Ledger, places: Sequence[Variant]) -> None:
    record = ledger.rows[0].record
    axes.set_yscale("log")
    low, high = axes.dataLim.intervaly
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < NARROW else (1.0,)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("Throughput (images/s)")
    axes.set_xlim(-0.2, len(places) - 0.8)
    if len(places) > MOST_LEVEL:
        axes.set_xticks(range(len(places)), [variant.brief for variant in places], rotation=40, ha="right")
    else:
        axes.set_xticks(range(len(places)), [variant.brief.replace(" ", "\n") for variant in places])
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    size = f"{record.height}×{record.width} tokens, dim {record.dim}, {record.heads} heads"
    words = f"{size}, batch {record.batch}, {record.mode}"
    axes.set_title(f"{machine_of(record, PAGE_LETTERS)}\n{words}", fontsize=7.5, loc="left")
    best = f"filled: the best variant of a mechanism; in brackets: its speed over {ledger.reference.brief}"
    axes.set_xlabel(best, fontsize=7)


def _height_inches(ledger: Ledger) -> float:
    return max(LEAST_INCHES, NAME_INCHES * (len(ledger.titles) + 3))
