"""Figures of one setting on axes that are given: how fast layers are, beside the paper, for their FLOPs."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

from matplotlib.axes import Axes

from attnbench.analysis.rows import Measured, published_ratio
from attnbench.cases.sweep import BASELINE
from attnbench.paper import processor
from attnbench.report.colours import MarkStyles
from attnbench.report.digits import shown
from attnbench.report.figure.axis import set_numbers, set_ratios
from attnbench.report.figure.end_labels import name_at_the_side
from attnbench.report.figure.style import GREY, HALO, PALE, SMALL, brief, errors, lines_of, point
from attnbench.statistics import Estimate

Names = Mapping[str, str]
"""Titles of mechanisms by label, from the bottom of a figure up."""
HEADROOM = 1.05
LABEL_LETTERS = 40  # of an axis, on a line
BAR = 0.75  # of the height from one bar to the next, where titles take a line


def by_throughput(panels: Iterable[Sequence[Measured]]) -> Names:
    """What has a throughput, from the bottom up: the slowest of the first panel first."""
    return _in_order(panels, lambda row: row.timing.throughput)


def by_speed(panels: Iterable[Sequence[Measured]]) -> Names:
    """What has a speed relative to a baseline, from the bottom up: the slowest of the first panel first."""
    return _in_order(panels, lambda row: row.timing.speed)


def _in_order(panels: Iterable[Sequence[Measured]], of: Callable[[Measured], Estimate | None]) -> Names:
    """The rows of the first panel by a number; below them, in their own order, what only later ones have."""
    names: dict[str, str] = {}
    for rows in panels:
        numbers = [(estimate.value, row.record.case) for row in rows if (estimate := of(row))]
        ordered = [case for _, case in sorted(numbers, key=lambda pair: pair[0])]
        names = {case.label: case.title for case in ordered if case.label not in names} | names
    return names


def draw_throughput(
    axes: Axes, rows: Sequence[Measured], styles: MarkStyles, names: Names | None = None
) -> None:
    """Figure 6: a bar a mechanism, the fastest at the top, with its value and interval.

    Where panels stand beside each other, all have the `names` of one, from the bottom up.
    """
    names = by_throughput([rows]) if names is None else names
    places = {label: y for y, label in enumerate(names)}
    ordered = sorted(rows, key=lambda row: places[row.record.case.label])
    ys = [places[row.record.case.label] for row in ordered]
    estimates = [row.timing.throughput for row in ordered]
    values, spread = [estimate.value for estimate in estimates], errors(estimates)
    colours = [styles[row.record.case.label].colour for row in ordered]
    axes.errorbar(values, ys, xerr=spread, **HALO)
    axes.barh(ys, values, xerr=spread, color=colours, height=BAR / _lines(names))
    ends = [estimate.high or estimate.value for estimate in estimates]
    for y, estimate, end in zip(ys, estimates, ends, strict=True):
        text = shown(estimate).value
        axes.annotate(text, (end, y), (3, 0), textcoords="offset points", va="center", fontsize=SMALL)
    _set_names(axes, names)
    axes.set_xlim(0, 1.15 * max(ends))
    axes.set_xlabel("Throughput (images/s)")
    set_numbers(axes.xaxis)


def draw_ratios(
    axes: Axes, rows: Sequence[Measured], styles: MarkStyles | None = None, names: Names | None = None
) -> None:
    """Our speeds relative to the baseline with their intervals, and the published ones, on a log axis.

    They are black, unless there are styles. The grey band is the noise floor: where an identical layer may
    lie. Where panels stand beside each other, all have the `names` of one, from the bottom up.
    """
    compared = [(row, row.timing.speed) for row in rows if row.timing.speed]
    if not compared:
        axes.set_axis_off()  # its baseline was not measured
        return
    names = by_speed([rows]) if names is None else names
    places = {label: y for y, label in enumerate(names)}
    compared.sort(key=lambda pair: places[pair[0].record.case.label])
    speeds = [speed for _, speed in compared]
    values, ys = [speed.value for speed in speeds], [places[row.record.case.label] for row, _ in compared]
    axes.errorbar(values, ys, xerr=errors(speeds), fmt="ok", label="measured")
    for (row, speed), y in zip(compared, ys, strict=True) if styles else ():
        colour = styles[row.record.case.label].colour if styles else "k"
        axes.errorbar([speed.value], [y], xerr=errors([speed]), fmt="o", color=colour, zorder=3)
    theirs = [(ratio, y) for (row, _), y in zip(compared, ys, strict=True) if (ratio := published_ratio(row))]
    if theirs:
        label = f"paper ({processor(compared[0][0].device)})"
        axes.plot(*zip(*theirs, strict=True), "D", color=GREY, fillstyle="none", label=label)
    floor = compared[0][0].timing.noise_floor
    if floor is not None:
        axes.axvspan(1 / (1 + floor), 1 + floor, color="0.88", linewidth=0, label="noise floor", zorder=0)
    axes.axvline(1, color=PALE, linewidth=0.6, zorder=0.5)
    set_ratios(axes)
    _set_names(axes, names)
    axes.grid(axis="y")
    baseline = compared[0][0].timing.baseline or BASELINE
    label = f"Speed relative to {_title(baseline, rows)} (right is faster)"
    axes.set_xlabel(textwrap.fill(label, LABEL_LETTERS))


def draw_flops_against_time(axes: Axes, rows: Sequence[Measured], styles: MarkStyles) -> None:
    """Time per image over FLOPs; on the line through MSA a layer's time would follow its FLOPs alone."""
    points = {row.record.case.label: _macs_m_and_time_ms(row) for row in rows if row.record.macs is not None}
    counted = [row for row in rows if row.record.case.label in points]
    for row in counted:
        spread = errors([row.timing.time_s], 1e3 / row.record.case.workload.batch)
        axes.errorbar(*points[row.record.case.label], yerr=spread, **point(styles[row.record.case.label]))
    right = HEADROOM * max((macs_m for macs_m, _ in points.values()), default=1.0)
    axes.set_xlim(0, right)
    axes.set_ylim(bottom=0)
    if BASELINE in points:
        _draw_rate(axes, _title(BASELINE, rows), points[BASELINE], right)
    axes.set_xlabel("FLOPs (M multiply-adds per image)")
    axes.set_ylabel("Time (ms per image)")
    ends = [(row.record.case.title, points[row.record.case.label]) for row in counted]
    name_at_the_side(
        axes, ends, {row.record.case.title: styles[row.record.case.label].colour for row in counted}
    )


def _set_names(axes: Axes, names: Names) -> None:
    """A name a line, from the bottom up."""
    axes.set_yticks(range(len(names)), [brief(title) for title in names.values()])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(names) - 0.4)


def _lines(names: Names) -> int:
    """How many lines the longest name takes."""
    return max(map(lines_of, names.values()))


def _draw_rate(axes: Axes, title: str, point: tuple[float, float], right: float) -> None:
    """The dashed line from nought through the point of the layer with this title, and what it is."""
    macs_m, time_ms = point
    at_right = right * time_ms / macs_m
    axes.plot([0, right], [0, at_right], color=PALE, linewidth=0.8, linestyle="--", zorder=0)
    label = f"at {title}'s rate"
    corner = (0.37 * right, 0.37 * at_right)
    axes.annotate(label, corner, ha="right", va="bottom", fontsize=SMALL, color=GREY)


def _macs_m_and_time_ms(row: Measured) -> tuple[float, float]:
    return (row.record.macs or 0) / 1e6, 1e3 * row.timing.time_s.value / row.record.case.workload.batch


def _title(label: str, rows: Sequence[Measured]) -> str:
    return next((row.record.case.title for row in rows if row.record.case.label == label), label)
