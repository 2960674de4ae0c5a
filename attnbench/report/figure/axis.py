"""Ticks of axes, alike in all figures."""

import math
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter, NullLocator

EVEN = 4.0  # a log axis over less than this has even steps, because it would show one power, or none
CLOSE = 300.0  # over less than this it has ticks at 2 and 5 times powers of ten too
MOST_EVEN = 5
SMALL_RATIO = 0.1  # those below are fractions, which are shorter
STEPS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)  # between even ticks of ratios, all of which meet 1


def number(value: float, _: object = None) -> str:
    """A number on a tick: `16,100`, `0.25`."""
    return f"{value:,.10g}"


def ratio(value: float, _: object = None) -> str:
    """A ratio on a tick: `2×`, `0.25×`, `1/64×`."""
    return f"{value:g}×" if value >= SMALL_RATIO else f"1/{1 / value:.4g}×"


def set_numbers(axis: Axis) -> None:
    """Write the ticks of a linear axis as they stand in tables."""
    axis.set_major_formatter(number)


def set_log_heights(axes: Axes, low: float, high: float) -> None:
    """A log axis for heights from one to another, with as many ticks as can be told apart."""
    axes.set_yscale("log")
    if high / low < EVEN:
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < CLOSE else (1.0,)))
    axes.yaxis.set_major_formatter(number)
    axes.yaxis.set_minor_formatter(NullFormatter())


def set_ratios(axes: Axes, which: Literal["x", "y"] = "x") -> None:
    """A log axis of ratios with ticks at powers of two, or at even steps where these would be few."""
    set_scale = {"x": axes.set_xscale, "y": axes.set_yscale}[which]
    axis = {"x": axes.xaxis, "y": axes.yaxis}[which]
    set_scale("log", base=2)
    low, high = sorted(axis.get_view_interval())
    if high / low < EVEN:
        axis.set_major_locator(FixedLocator(even_ratios(low, high)))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(ratio)


def even_ratios(low: float, high: float) -> list[float]:
    """A few ratios at even distances, with 1 among them if it lies between the ends."""
    for step in STEPS:
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first < MOST_EVEN:
            break
    return [round(step * number, 2) for number in range(first, last + 1)]
