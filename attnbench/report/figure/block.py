"""Figures of one setting, a panel a device, on axes that are given."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from attnbench.paper import DEVICES
from attnbench.report.figure.style import LABEL_GAP, colour, errors, label_at_the_side
from attnbench.report.metrics import Measured, published_ratio
from attnbench.sweep import BASELINE

NARROW = 4.0  # a log axis over less than this shows too few powers of two
Draw = Callable[[Axes, Sequence[Measured]], None]


def draw_throughput(axes: Axes, rows: Sequence[Measured]) -> None:
    """Figure 6: a bar a mechanism, the fastest at the top, with its value and interval."""
    ordered = sorted(rows, key=lambda row: row.timing.throughput.value)
    estimates, labels = [row.timing.throughput for row in ordered], [row.record.label for row in rows]
    axes.barh(
        [row.record.title for row in ordered],
        [estimate.value for estimate in estimates],
        xerr=errors(estimates),
        color=[colour(row.record.label, labels) for row in ordered],
        error_kw={"elinewidth": 1, "capsize": 2},
    )
    for position, estimate in enumerate(estimates):
        end = (estimate.high or estimate.value, position)
        text = f"{estimate.value:,.0f}"
        axes.annotate(text, end, (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xlim(0, 1.12 * max(estimate.high or estimate.value for estimate in estimates))
    axes.set_xlabel("Throughput (images/s)")


def draw_ratios(axes: Axes, rows: Sequence[Measured]) -> None:
    """Our speeds relative to the baseline with their intervals, and the published ones, on a log axis.

    The grey band is the noise floor: where an identical layer may lie.
    """
    compared = [(row, row.timing.speed) for row in rows if row.timing.speed]
    if not compared:
        axes.set_axis_off()  # its baseline was not measured
        return
    compared.sort(key=lambda pair: pair[1].value)
    speeds = [speed for _, speed in compared]
    values, places = [speed.value for speed in speeds], list(range(len(speeds)))
    axes.errorbar(
        values, places, xerr=errors(speeds), fmt="ok", markersize=5, capsize=2, label="this machine"
    )
    theirs = [(ratio, place) for place, (row, _) in enumerate(compared) if (ratio := published_ratio(row))]
    if theirs:
        label = f"paper ({DEVICES[compared[0][0].device]})"
        axes.plot(*zip(*theirs, strict=True), "D", color="tab:orange", fillstyle="none", label=label)
    floor = compared[0][0].timing.noise_floor
    if floor is not None:
        axes.axvspan(1 / (1 + floor), 1 + floor, color="0.9", label="noise floor", zorder=0)
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xscale("log", base=2)
    low, high = axes.get_xlim()
    if high / low < NARROW:
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.set_yticks(places, [row.record.title for row, _ in compared])
    axes.grid(axis="y", color="0.92")
    axes.set_xlabel(
        f"Speed relative to {(compared[0][0].timing.baseline or BASELINE).upper()} (right is faster)"
    )
    axes.legend(loc="best", framealpha=1, edgecolor="none", fontsize=8)


def draw_flops_against_time(axes: Axes, rows: Sequence[Measured]) -> None:
    """Time per image over FLOPs; on the line through MSA a layer's time would follow its FLOPs alone."""
    counted = [row for row in rows if row.record.macs is not None]
    points = {row.record.label: _macs_m_and_time_ms(row) for row in counted}
    labels = [row.record.label for row in rows]
    for row in counted:
        spread = errors([row.timing.time_s], 1e3 / row.record.batch)
        x, y = points[row.record.label]
        axes.errorbar(x, y, yerr=spread, fmt="o", color=colour(row.record.label, labels), capsize=2)
    right = 1.05 * max((macs_m for macs_m, _ in points.values()), default=1.0)
    top = 1.05 * max((time_ms for _, time_ms in points.values()), default=1.0)
    if BASELINE in points:
        macs_m, time_ms = points[BASELINE]
        at_right = right * time_ms / macs_m
        axes.plot([0, right], [0, at_right], color="grey", linewidth=0.8, linestyle="--", zorder=0)
        label = f"at {BASELINE.upper()}'s rate"
        axes.annotate(label, (0.3 * right, 0.3 * at_right), ha="right", va="bottom", fontsize=8, color="grey")
    titles = {row.record.title: points[row.record.label] for row in counted}
    label_at_the_side(axes, titles, right, gap=LABEL_GAP * top)
    axes.set_xlim(0, right)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("FLOPs (M multiply-adds per image)")
    axes.set_ylabel("Time (ms per image)")


FIGURES: dict[str, Draw] = {
    "throughput": draw_throughput,
    "ratios": draw_ratios,
    "flops-time": draw_flops_against_time,
}


def _macs_m_and_time_ms(row: Measured) -> tuple[float, float]:
    return (row.record.macs or 0) / 1e6, 1e3 * row.timing.time_s.value / row.record.batch
