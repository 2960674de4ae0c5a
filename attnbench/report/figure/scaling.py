"""Figure 3: what mechanisms cost as maps grow, on logarithmic axes that are given."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullFormatter, NullLocator

from attnbench.report.figure.curves import Crosses, Curve, Misfit, crosses_of, curves_of
from attnbench.report.figure.style import (
    PAGE_INCHES,
    PAGE_LETTERS,
    colour,
    errors,
    machine_of,
    macs_m,
    marker,
    suffix,
    total_mib,
)
from attnbench.report.metrics import Row, family, grouped

Draw = Callable[[Axes, Sequence[Row]], None]
NUDGE = 0.028  # of the axis, between crosses at one place
MARGIN = 0.06  # of the axis, beyond what is drawn
NARROW = 300.0  # a log axis over less than this has ticks at 2 and 5 too
PANEL_HEIGHT_INCHES = 2.75
LEGEND_INCHES = 0.9
LEGEND_COLUMNS = 5
NEED = "× out of memory, at the predicted need"
NO_NEED = "\n   (at the edge: nothing was predicted)"
NO_NUMBER = "× out of memory"


def draw_flops(axes: Axes, rows: Sequence[Row]) -> None:
    """Multiply-adds of one image's forward pass; by the closed form where they could not be counted."""
    curves = [Curve(curve.label, curve.title, curve.points, ()) for curve in curves_of(rows, macs_m)]
    _draw(axes, curves, rows, "FLOPs (M multiply-adds per image, forward)")


def draw_inference(axes: Axes, rows: Sequence[Row]) -> None:
    """Images per second with their intervals; a cross at the bottom is a size without memory for it."""
    _draw_throughput(axes, rows, "inference")


def draw_training(axes: Axes, rows: Sequence[Row]) -> None:
    """Images per second of forward and backward passes, as `draw_inference` draws them."""
    _draw_throughput(axes, rows, "training")


def draw_inference_memory(axes: Axes, rows: Sequence[Row]) -> None:
    """What a call needs in all; a cross stands at the predicted need of what does not fit."""
    _draw_memory(axes, rows, "inference")


def draw_training_memory(axes: Axes, rows: Sequence[Row]) -> None:
    """As `draw_inference_memory`, of a forward and a backward pass."""
    _draw_memory(axes, rows, "training")


def scaling_pages(rows: Sequence[Row]) -> Iterator[tuple[str, Figure]]:
    """The figures over sizes with their names, for each device and batch that has several."""
    records = [row.record for row in rows]
    for mine in grouped(rows, family):
        if len({row.side for row in mine}) < 2:
            continue
        end = suffix(mine[0].record, records, without={"size", "mode"})
        timed = {row.record.mode for row in mine if row.timing}
        speed = draw_training if timed == {"training"} else draw_inference
        panels = (draw_flops, speed, draw_inference_memory, draw_training_memory)
        yield f"scaling{end}", _page(panels, mine, columns=2)
        if "training" in timed:
            yield f"scaling-training{end}", _page([draw_training], mine, columns=1)


def _page(panels: Sequence[Draw], rows: Sequence[Row], columns: int) -> Figure:
    record, lines = rows[0].record, len(panels) // columns
    figure = Figure(figsize=(PAGE_INCHES, lines * PANEL_HEIGHT_INCHES + LEGEND_INCHES), layout="constrained")
    for axes, draw in zip(figure.subplots(lines, columns, squeeze=False).flat, panels, strict=True):
        draw(axes, rows)
    shape = f"dim {record.dim}, {record.heads} heads"
    words = f"{shape}, batch {record.batch}, {record.variant.title}"
    figure.suptitle(f"{machine_of(record, PAGE_LETTERS)}\n{words}", fontsize=8)
    handles = {
        str(handle.get_label()): handle
        for axes in figure.axes
        for handle in axes.get_legend_handles_labels()[0]
    }
    figure.legend(
        handles=list(handles.values()),
        loc="outside lower center",
        ncols=LEGEND_COLUMNS,
        fontsize=7.5,
        frameon=False,
    )
    return figure


def _draw_throughput(axes: Axes, rows: Sequence[Row], mode: str) -> None:
    mine = [row for row in rows if row.record.mode == mode]
    curves = curves_of(mine, lambda row: row.timing.throughput if row.timing else None)
    without_need = [
        Curve(each.label, each.title, each.points, [Misfit(misfit.side, None) for misfit in each.misfits])
        for each in curves
    ]
    _draw(axes, without_need, rows, f"{mode.capitalize()} throughput (images/s)")


def _draw_memory(axes: Axes, rows: Sequence[Row], mode: str) -> None:
    mine = [row for row in rows if row.record.mode == mode]
    _draw(
        axes,
        curves_of(mine, total_mib),
        rows,
        f"{mode.capitalize()} memory (MiB, with weights and input)",
        at_top=True,
    )


def _draw(axes: Axes, curves: Sequence[Curve], rows: Sequence[Row], what: str, at_top: bool = False) -> None:
    """Lines and crosses over all sizes of the run; crosses without a number stand at the axis' edge."""
    labels = [row.record.label for row in rows]
    sizes = {row.side: _size(row) for row in sorted(rows, key=lambda row: row.side)}
    axes.set_title(what, fontsize=8.5, loc="left")
    heights = [height for curve in curves for height in curve.heights]
    if not heights:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not measured in this run", ha="center", va="center", color="grey")
        return
    for curve in curves:
        estimates = list(curve.points.values())
        axes.errorbar(
            list(curve.points),
            [estimate.value for estimate in estimates],
            yerr=errors(estimates),
            color=colour(curve.label, labels),
            marker=marker(curve.label, labels),
            label=curve.title,
            markersize=3.5,
            linewidth=1.1,
            elinewidth=0.8,
            capsize=1.5,
        )
    crosses = crosses_of(curves, _set_heights(axes, heights)[at_top], nudge=NUDGE * _span(sizes))
    _draw_crosses(axes, crosses, labels)
    _set_sizes(axes, sizes, [place for cross in crosses for place, _ in cross.places])
    misfits = [misfit for curve in curves for misfit in curve.misfits]
    if misfits and at_top:
        says = NEED + NO_NEED * any(misfit.need is None for misfit in misfits)
        axes.text(0.02, 0.98, says, fontsize=6.5, transform=axes.transAxes, va="top")
    elif misfits:
        axes.text(0.02, 0.03, NO_NUMBER, fontsize=6.5, transform=axes.transAxes)


def _set_heights(axes: Axes, heights: Sequence[float]) -> tuple[float, float]:
    """Scale the axis to all numbers, needs that were predicted included, and return its ends."""
    margin = (max(heights) / min(heights)) ** MARGIN * 1.05
    ends = min(heights) / margin, max(heights) * margin
    axes.set_yscale("log")
    axes.set_ylim(ends)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if ends[1] / ends[0] < NARROW else (1.0,)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    return ends


def _set_sizes(axes: Axes, sizes: Mapping[float, str], crosses: Sequence[float]) -> None:
    """Ticks at the sizes that were measured, and room for the crosses beside them."""
    margin = math.exp(MARGIN * _span(sizes))
    places = [*sizes, *crosses]
    axes.set_xscale("log")
    axes.set_xlim(min(places) / margin, max(places) * margin)
    axes.xaxis.set_major_locator(FixedLocator(list(sizes)))
    axes.xaxis.set_major_formatter(FixedFormatter(list(sizes.values())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("Resolution (tokens a side)")
    axes.grid(color="0.94", linewidth=0.6)


def _span(sizes: Mapping[float, str]) -> float:
    return math.log(max(sizes) / min(sizes))


def _draw_crosses(axes: Axes, crosses: Sequence[Crosses], labels: Sequence[str]) -> None:
    """Black crosses, joined to the last number before them by a dotted line in the mechanism's colour."""
    for cross in crosses:
        label, points = cross.curve.label, cross.curve.points
        before = [side for side in points if side < cross.places[0][0]]
        start = [(max(before), points[max(before)].value)] if before else []
        xs, ys = zip(*start, *cross.places, strict=True)
        axes.plot(xs, ys, ":", color=colour(label, labels), linewidth=0.9, clip_on=False)
        xs, ys = zip(*cross.places, strict=True)
        axes.plot(xs, ys, "x", color="black", markersize=4.5, markeredgewidth=1, clip_on=False, zorder=3)


def _size(row: Row) -> str:
    record = row.record
    return str(record.height) if record.height == record.width else f"{record.height}×{record.width}"
