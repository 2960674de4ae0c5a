"""Figures on axes that are given; `save_figures` gives them a page and a file."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from attnbench.paper import DEVICES, published
from attnbench.report.metrics import Measured, Row, measured, published_ratio
from attnbench.statistics import Estimate
from attnbench.sweep import BASELINE

FORMATS = ("png", "pdf")
PANEL_INCHES = (5.2, 4.6)
TITLE_LETTERS = 72  # as many as fit over a panel
NARROW = 4.0  # a log axis over less than this shows too few powers of two
LABEL_GAP = 0.045  # of the axis, between names in a column
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "pdf.fonttype": 42,  # fonts that a publisher's checks accept
    "savefig.dpi": 200,
}
_TAB20 = [mpl.colors.to_hex(rgb) for rgb in mpl.colormaps["tab20"].colors]  # type: ignore[attr-defined]
PALETTE = _TAB20[0::2] + _TAB20[1::2]  # strong colours first
Draw = Callable[[Axes, Sequence[Measured]], None]


def save_figures(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw all figures of a run, one set a size, one panel a device; return the files."""
    paths = []
    with_time = measured(rows)
    sizes = list(dict.fromkeys(row.size for row in with_time))
    for size in sizes:
        mine = [row for row in with_time if row.size == size]
        suffix = f"-{size}" if len(sizes) > 1 else ""
        for name, draw in FIGURES.items():
            if draw is draw_ratios and not any(row.timing.speed for row in mine):
                continue  # no baseline was measured
            paths += _save(_page(draw, mine), folder / f"{name}{suffix}")
    return paths


def draw_throughput(axes: Axes, rows: Sequence[Measured]) -> None:
    """Figure 6: a bar a mechanism, the fastest at the top, with its value and interval."""
    ordered = sorted(rows, key=lambda row: row.timing.throughput.value)
    estimates = [row.timing.throughput for row in ordered]
    axes.barh(
        [row.record.title for row in ordered],
        [estimate.value for estimate in estimates],
        xerr=_errors(estimates),
        color=[colour(row.record.label, rows) for row in ordered],
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
        values, places, xerr=_errors(speeds), fmt="ok", markersize=5, capsize=2, label="this machine"
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
    for row in counted:
        errors = _errors([row.timing.time_s], 1e3 / row.record.batch)
        x, y = points[row.record.label]
        axes.errorbar(x, y, yerr=errors, fmt="o", color=colour(row.record.label, rows), capsize=2)
    right = 1.05 * max((macs_m for macs_m, _ in points.values()), default=1.0)
    top = 1.05 * max((time_ms for _, time_ms in points.values()), default=1.0)
    if BASELINE in points:
        macs_m, time_ms = points[BASELINE]
        at_right = right * time_ms / macs_m
        axes.plot([0, right], [0, at_right], color="grey", linewidth=0.8, linestyle="--", zorder=0)
        label = f"at {BASELINE.upper()}'s rate"
        axes.annotate(label, (0.3 * right, 0.3 * at_right), ha="right", va="bottom", fontsize=8, color="grey")
    titles = {row.record.title: points[row.record.label] for row in counted}
    _label_at_the_side(axes, titles, right, gap=LABEL_GAP * top)
    axes.set_xlim(0, right)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("FLOPs (M multiply-adds per image)")
    axes.set_ylabel("Time (ms per image)")


FIGURES: dict[str, Draw] = {
    "throughput": draw_throughput,
    "ratios": draw_ratios,
    "flops-time": draw_flops_against_time,
}


def colour(label: str, rows: Sequence[Row]) -> str:
    """A mechanism's colour: fixed for those of Table IV, then in order of appearance."""
    known = sorted(published(), key=lambda name: name not in ("hilo", BASELINE))
    names = known + [row.record.label for row in rows if row.record.label not in known]
    return PALETTE[names.index(label) % len(PALETTE)]


def _page(draw: Draw, rows: Sequence[Measured]) -> Figure:
    devices = list(dict.fromkeys(row.device for row in rows))
    width, height = PANEL_INCHES
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width * len(devices), height), layout="constrained")
        for axes, device in zip(figure.subplots(1, len(devices), squeeze=False).flat, devices, strict=True):
            mine = [row for row in rows if row.device == device]
            record = mine[0].record
            size = f"{record.height}×{record.width} tokens"
            setting = f"{size}, batch {record.batch}, {record.dtype}, {record.kernel} kernel"
            machine = textwrap.fill(record.machine.describe(device, record.threads), TITLE_LETTERS)
            axes.set_title(f"{machine}\n{setting}", fontsize=8, loc="right")  # labels widen the left
            draw(axes, mine)
    return figure


def _save(figure: Figure, stem: Path) -> list[Path]:
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in FORMATS]
    with mpl.rc_context(STYLE):
        for path in paths:
            figure.savefig(path)
    return paths


def _macs_m_and_time_ms(row: Measured) -> tuple[float, float]:
    return (row.record.macs or 0) / 1e6, 1e3 * row.timing.time_s.value / row.record.batch


def _label_at_the_side(axes: Axes, points: Mapping[str, tuple[float, float]], x: float, gap: float) -> None:
    """Name points in a column right of `x`, in their order, each name at least `gap` above the last."""
    leader = {"arrowstyle": "-", "color": "0.8", "linewidth": 0.6, "relpos": (0, 0.5)}
    height = -gap
    for text, point in sorted(points.items(), key=lambda item: item[1][1]):
        height = max(point[1], height + gap)
        place = (1.03 * x, height)
        axes.annotate(text, point, place, fontsize=8, va="center", arrowprops=leader, annotation_clip=False)


def _errors(estimates: Sequence[Estimate], scale: float = 1.0) -> list[list[float]]:
    """Distances from the values down to the low ends and up to the high ends; nought without an interval."""
    return [
        [scale * (e.value - e.low) if e.low is not None else 0.0 for e in estimates],
        [scale * (e.high - e.value) if e.high is not None else 0.0 for e in estimates],
    ]
