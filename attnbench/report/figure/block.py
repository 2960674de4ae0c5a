"""Figures of one setting on axes that are given: how fast layers are, beside the paper, for their FLOPs."""

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes

from attnbench.analysis.rows import Measured, published_ratio
from attnbench.cases.sweep import BASELINE
from attnbench.paper import processor
from attnbench.report.colours import MarkStyles
from attnbench.report.digits import shown
from attnbench.report.figure.axis import set_numbers, set_ratios
from attnbench.report.figure.end_labels import name_at_the_side
from attnbench.report.figure.style import GREY, HALO, PALE, SMALL, brief, errors, lines_of, point

HEADROOM = 1.05
LABEL_LETTERS = 40  # of an axis, on a line
BAR = 0.75  # of the height from one bar to the next, where titles take a line


def draw_throughput(axes: Axes, rows: Sequence[Measured], styles: MarkStyles) -> None:
    """Figure 6: a bar a mechanism, the fastest at the top, with its value and interval."""
    ordered = sorted(rows, key=lambda row: row.timing.throughput.value)
    estimates = [row.timing.throughput for row in ordered]
    titles, ys = [brief(row.record.case.title) for row in ordered], range(len(ordered))
    values, spread = [estimate.value for estimate in estimates], errors(estimates)
    colours = [styles[row.record.case.label].colour for row in ordered]
    axes.errorbar(values, ys, xerr=spread, **HALO)
    axes.barh(ys, values, xerr=spread, color=colours, height=BAR / max(map(lines_of, titles)))
    ends = [estimate.high or estimate.value for estimate in estimates]
    for y, (estimate, end) in enumerate(zip(estimates, ends, strict=True)):
        text = shown(estimate).value
        axes.annotate(text, (end, y), (3, 0), textcoords="offset points", va="center", fontsize=SMALL)
    axes.set_yticks(ys, titles)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_xlim(0, 1.15 * max(ends))
    axes.set_xlabel("Throughput (images/s)")
    set_numbers(axes.xaxis)


def draw_ratios(axes: Axes, rows: Sequence[Measured], styles: MarkStyles | None = None) -> None:
    """Our speeds relative to the baseline with their intervals, and the published ones, on a log axis.

    They are black, unless there are styles. The grey band is the noise floor: where an identical layer may
    lie.
    """
    compared = [(row, row.timing.speed) for row in rows if row.timing.speed]
    if not compared:
        axes.set_axis_off()  # its baseline was not measured
        return
    compared.sort(key=lambda pair: pair[1].value)
    speeds = [speed for _, speed in compared]
    values, ys = [speed.value for speed in speeds], list(range(len(speeds)))
    axes.errorbar(values, ys, xerr=errors(speeds), fmt="ok", label="this machine")
    for (row, speed), y in zip(compared, ys, strict=True) if styles else ():
        colour = styles[row.record.case.label].colour if styles else "k"
        axes.errorbar([speed.value], [y], xerr=errors([speed]), fmt="o", color=colour, zorder=3)
    theirs = [(ratio, y) for y, (row, _) in enumerate(compared) if (ratio := published_ratio(row))]
    if theirs:
        label = f"paper ({processor(compared[0][0].device)})"
        axes.plot(*zip(*theirs, strict=True), "D", color=GREY, fillstyle="none", label=label)
    floor = compared[0][0].timing.noise_floor
    if floor is not None:
        axes.axvspan(1 / (1 + floor), 1 + floor, color="0.88", linewidth=0, label="noise floor", zorder=0)
    axes.axvline(1, color=PALE, linewidth=0.6, zorder=0.5)
    set_ratios(axes)
    axes.set_yticks(ys, [brief(row.record.case.title) for row, _ in compared])
    axes.set_ylim(-0.6, len(ys) - 0.4)
    axes.tick_params(axis="y", length=0)
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
