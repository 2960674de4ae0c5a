"""Figure 3: what mechanisms cost as maps grow, on logarithmic axes that are given."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from attnbench.analysis.rows import Row, family, grouped
from attnbench.report.colours import MarkStyles, mark_styles_of
from attnbench.report.figure.axis import set_log_heights
from attnbench.report.figure.curves import Crosses, Curve, Misfit, crosses_of, curves_of
from attnbench.report.figure.file_names import note, suffix
from attnbench.report.figure.page import Drawing, add_legend, add_note, add_panels, new_page, plot_inches
from attnbench.report.figure.print_size import PLAIN, PrintSize, Width
from attnbench.report.figure.quantities import macs_m, throughput, total_mib
from attnbench.report.figure.style import CROSS, errors, line, styled
from attnbench.report.figure.titles import with_values

Draw = Callable[[Axes, Sequence[Row], MarkStyles], None]
NUDGE = 0.028  # of the axis, between crosses at one height
MARGIN = 0.06  # of the axis, beyond what is drawn
PANEL_INCHES = 2.3  # the least width of one
PLOT_INCHES = 1.75
IN_ALL = "Memory holds weights and input too."


def draw_flops(axes: Axes, rows: Sequence[Row], styles: MarkStyles) -> None:
    """Multiply-adds of one image's forward pass; by the closed form where they could not be counted."""
    curves = [Curve(curve.label, curve.title, curve.points, ()) for curve in curves_of(rows, macs_m)]
    _draw(axes, curves, rows, styles, "FLOPs (M multiply-adds, forward)")


def draw_inference(axes: Axes, rows: Sequence[Row], styles: MarkStyles) -> None:
    """Images per second with their intervals; a cross at the bottom is a size without memory for it."""
    _draw_throughput(axes, rows, styles, "inference")


def draw_training(axes: Axes, rows: Sequence[Row], styles: MarkStyles) -> None:
    """Images per second of forward and backward passes, as `draw_inference` draws them."""
    _draw_throughput(axes, rows, styles, "training")


def draw_inference_memory(axes: Axes, rows: Sequence[Row], styles: MarkStyles) -> None:
    """What a call needs in all; a cross stands at the predicted need of what does not fit."""
    _draw_memory(axes, rows, styles, "inference")


def draw_training_memory(axes: Axes, rows: Sequence[Row], styles: MarkStyles) -> None:
    """As `draw_inference_memory`, of a forward and a backward pass."""
    _draw_memory(axes, rows, styles, "training")


MEMORY: dict[str, Draw] = {"inference": draw_inference_memory, "training": draw_training_memory}


def scaling_pages(rows: Sequence[Row], wanted: PrintSize = PLAIN) -> Iterator[Drawing]:
    """The figures over sizes, for each device and batch that has several."""
    records = [row.record for row in rows]
    styles = mark_styles_of((row.record.case.label for row in rows), wanted.highlight)
    for mine in over_sizes(rows):
        end = suffix(mine[0].record, records, without={"size", "mode"})
        page = partial(_page, _panels(mine), mine, styles, Width.page, wanted)
        yield Drawing("scaling", f"scaling{end}", page)
        if "training" in timed_modes(mine):
            trained = [row for row in mine if row.record.case.workload.mode == "training"]
            page = partial(_page, [draw_training], trained, styles, Width.column, wanted)
            yield Drawing("scaling", f"scaling-training{end}", page)


def over_sizes(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of each device and batch that has several sizes, under titles that tell settings apart."""
    families = grouped(rows, family)
    return [with_values(mine) for mine in families if len({row.side for row in mine}) > 1]


def _panels(rows: Sequence[Row]) -> list[Draw]:
    """FLOPs, the throughput of one mode, and the memory of each mode that was asked for."""
    speed = draw_training if timed_modes(rows) == {"training"} else draw_inference
    modes = {row.record.case.workload.mode for row in rows}
    return [draw_flops, speed, *(draw for mode, draw in MEMORY.items() if mode in modes)]


def timed_modes(rows: Sequence[Row]) -> set[str]:
    """What calls do that were timed."""
    return {row.record.case.workload.mode for row in rows if row.timing}


def _page(
    panels: Sequence[Draw], rows: Sequence[Row], styles: MarkStyles, natural: Width, wanted: PrintSize
) -> Figure:
    width_inches = wanted.inches(natural)
    with styled():
        page = new_page(width_inches)
        titles = dict.fromkeys(row.record.case.title for row in rows)
        height = plot_inches(len(panels), width_inches, PANEL_INCHES, PLOT_INCHES, titles)
        for axes, draw in zip(add_panels(page, len(panels), PANEL_INCHES, height), panels, strict=True):
            draw(axes, rows, styles)
        add_legend(page)
        says = f" {IN_ALL}" if set(panels) & set(MEMORY.values()) else ""
        add_note(page, note([row.record for row in rows], size=False, mode=False) + says, wanted)
    return page


def _draw_throughput(axes: Axes, rows: Sequence[Row], styles: MarkStyles, mode: str) -> None:
    mine = [row for row in rows if row.record.case.workload.mode == mode]
    curves = curves_of(mine, throughput)
    without_need = [
        Curve(each.label, each.title, each.points, [Misfit(misfit.side, None) for misfit in each.misfits])
        for each in curves
    ]
    _draw(axes, without_need, rows, styles, f"{mode.capitalize()} throughput (images/s)")


def _draw_memory(axes: Axes, rows: Sequence[Row], styles: MarkStyles, mode: str) -> None:
    mine = [row for row in rows if row.record.case.workload.mode == mode]
    _draw(
        axes,
        curves_of(mine, total_mib),
        rows,
        styles,
        f"{mode.capitalize()} memory (MiB, in all)",
        at_top=True,
    )


def _draw(
    axes: Axes,
    curves: Sequence[Curve],
    rows: Sequence[Row],
    styles: MarkStyles,
    what: str,
    at_top: bool = False,
) -> None:
    """Lines and crosses over all sizes of the run; crosses without a number stand at the axis' edge."""
    sizes = sizes_of(rows)
    axes.set_title(what, loc="left")
    heights = [height for curve in curves for height in curve.heights]
    if not heights:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not measured in this run", ha="center", va="center", color="grey")
        return
    for curve in curves:
        estimates = list(curve.points.values())
        values = [estimate.value for estimate in estimates]
        how = line(styles[curve.label])
        axes.errorbar(list(curve.points), values, yerr=errors(estimates), label=curve.title, **how)
    crosses = crosses_of(curves, _set_heights(axes, heights)[at_top], nudge=NUDGE * _span(sizes))
    _draw_crosses(axes, crosses, styles)
    set_sizes(axes, sizes, rows, _room(rows))


def sizes_of(rows: Sequence[Row]) -> dict[float, str]:
    """What each size is called, by its tokens or pixels a side, growing."""
    by_side = {row.side: row.record.case.workload for row in sorted(rows, key=lambda row: row.side)}
    return {side: workload.brief_size.replace("x", "×") for side, workload in by_side.items()}


def _set_heights(axes: Axes, heights: Sequence[float]) -> tuple[float, float]:
    """Scale the axis to all numbers, needs that were predicted included, and return its ends."""
    margin = (max(heights) / min(heights)) ** MARGIN * 1.05
    ends = min(heights) / margin, max(heights) * margin
    set_log_heights(axes, *ends)
    axes.set_ylim(ends)
    return ends


def _room(rows: Sequence[Row]) -> float:
    """The share of an axis on both sides of the sizes: in all panels the same, with room for crosses."""
    crosses = Counter(
        (row.record.case.workload.mode, row.side) for row in rows if row.record.outcome == "out_of_memory"
    )
    return MARGIN + NUDGE * max(crosses.values(), default=0) / 2


def set_sizes(axes: Axes, sizes: Mapping[float, str], rows: Sequence[Row], room: float = MARGIN) -> None:
    """Ticks at the sizes of these rows, and room on their sides."""
    margin = math.exp(room * _span(sizes))
    axes.set_xscale("log")
    axes.set_xlim(min(sizes) / margin, max(sizes) * margin)
    axes.xaxis.set_major_locator(FixedLocator(list(sizes)))
    axes.xaxis.set_major_formatter(FixedFormatter(list(sizes.values())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"Resolution ({rows[0].record.case.workload.geometry.side_words})")
    axes.grid()


def _span(sizes: Mapping[float, str]) -> float:
    return math.log(max(sizes) / min(sizes))


def _draw_crosses(axes: Axes, crosses: Sequence[Crosses], styles: MarkStyles) -> None:
    """Black crosses, joined to the last number before them by a dotted line in the mechanism's colour."""
    for cross in crosses:
        label, points = cross.curve.label, cross.curve.points
        before = [side for side in points if side < cross.points[0][0]]
        start = [(max(before), points[max(before)].value)] if before else []
        xs, ys = zip(*start, *cross.points, strict=True)
        axes.plot(xs, ys, ":", color=styles[label].colour, linewidth=0.9, clip_on=False)
        xs, ys = zip(*cross.points, strict=True)
        axes.plot(xs, ys, **CROSS)
