"""Speed and memory beside the baseline's as maps grow: ratios keep apart what is one band on log axes."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.analysis.rows import Row, grouped
from attnbench.cases.sweep import BASELINE
from attnbench.report.colours import MarkStyles, mark_styles_of
from attnbench.report.figure.axis import set_ratios
from attnbench.report.figure.curves import Curve, curves_of
from attnbench.report.figure.end_labels import name_at_the_side, names_inches
from attnbench.report.figure.file_names import note, suffix
from attnbench.report.figure.page import Drawing, add_note, add_panels, new_page
from attnbench.report.figure.print_size import PLAIN, PrintSize, Width
from attnbench.report.figure.quantities import total_mib
from attnbench.report.figure.scaling import Draw, over_sizes, set_sizes, sizes_of
from attnbench.report.figure.style import PALE, errors, line, styled
from attnbench.statistics import Estimate

KIND = "scaling-ratios"
BEYOND = 1.06  # times the lowest and highest ratio
PLOT_INCHES = 2.0  # the least height of what is inside the axes
FLOOR = "Grey: where an identical layer may lie."
ENDS = "A line ends where it, or the baseline, has no number."


def speeds(rows: Sequence[Row]) -> list[Curve]:
    """Speed relative to the baseline, paired by round."""
    return _lines(rows, lambda row: row.timing.speed if row.timing else None)


def memories(rows: Sequence[Row]) -> list[Curve]:
    """What a call needs in all, over what the baseline's needs at the same size."""
    base = baseline_of(rows)
    needs = {row.side: need for row in rows if row.record.case.label == base and (need := total_mib(row))}

    def relative(row: Row) -> Estimate | None:
        need = total_mib(row)
        if need is None or row.side not in needs or row.record.case.label == base:
            return None
        return Estimate(need.value / needs[row.side].value)

    return _lines(rows, relative)


def draw_speeds(axes: Axes, rows: Sequence[Row], styles: MarkStyles) -> None:
    """Speeds over sizes, in grey the noise floor of each."""
    floors = {row.side: row.timing.noise_floor for row in rows if row.timing and row.timing.noise_floor}
    sides = sorted(floors)
    highs = [1 + floors[side] for side in sides]
    axes.fill_between(sides, [1 / high for high in highs], highs, color="0.9", linewidth=0, zorder=0)
    _draw(axes, rows, speeds(rows), styles, "Speed")


def draw_memories(axes: Axes, rows: Sequence[Row], styles: MarkStyles) -> None:
    """Memory over sizes."""
    _draw(axes, rows, memories(rows), styles, "Memory in all")


def _draw(axes: Axes, rows: Sequence[Row], curves: Sequence[Curve], styles: MarkStyles, what: str) -> None:
    """A line a mechanism, named at its end, and the baseline at 1."""
    sizes = sizes_of([row for row in rows if any(row.side in curve.points for curve in curves)])
    base = baseline_of(rows)
    title = next((row.record.case.title for row in rows if row.record.case.label == base), base)
    axes.axhline(1, color=PALE, linewidth=0.8, zorder=0.5)
    ends = [(title, (max(sizes), 1.0))]
    for curve in curves:
        estimates = list(curve.points.values())
        values = [estimate.value for estimate in estimates]
        how = line(styles[curve.label])
        axes.errorbar(list(curve.points), values, yerr=errors(estimates), label=curve.title, **how)
        ends.append((curve.title, (max(curve.points), values[-1])))
    low, high = axes.dataLim.intervaly
    axes.set_ylim(low / BEYOND, high * BEYOND)
    set_ratios(axes, "y")
    set_sizes(axes, sizes, rows)
    axes.set_ylabel(f"{what} relative to {title}")
    name_at_the_side(axes, ends, {curve.title: styles[curve.label].colour for curve in curves})


def ratio_pages(rows: Sequence[Row], wanted: PrintSize = PLAIN) -> Iterator[Drawing]:
    """The ratios over sizes of each device, batch and mode, where a mechanism has several."""
    records = [row.record for row in rows]
    styles = mark_styles_of((row.record.case.label for row in rows), wanted.highlight)
    for mine in (each for sizes in over_sizes(rows) for each in grouped(sizes, _mode)):
        training = "-training" if _mode(mine[0]) == "training" else ""
        end = f"{training}{suffix(mine[0].record, records, without={'size', 'mode'})}"
        if _has_a_line(speeds(mine)):
            page = partial(_page, draw_speeds, mine, styles, f"{FLOOR} {ENDS}", wanted)
            yield Drawing(KIND, f"{KIND}{end}", page)
        if _has_a_line(memories(mine)):
            page = partial(_page, draw_memories, mine, styles, ENDS, wanted)
            yield Drawing(KIND, f"{KIND}-memory{end}", page)


def baseline_of(rows: Sequence[Row]) -> str:
    """The label of what speeds are relative to."""
    return next((row.timing.baseline for row in rows if row.timing and row.timing.baseline), BASELINE)


def _page(draw: Draw, rows: Sequence[Row], styles: MarkStyles, key: str, wanted: PrintSize) -> Figure:
    inches = max(PLOT_INCHES, names_inches({row.record.case.title for row in rows}))
    with styled():
        page = new_page(wanted.inches(Width.column))
        (axes,) = add_panels(page, 1, PLOT_INCHES, inches)
        draw(axes, rows, styles)
        add_note(page, f"{key} {note([row.record for row in rows], size=False, crosses=False)}", wanted)
    return page


def _lines(rows: Sequence[Row], of: Callable[[Row], Estimate | None]) -> list[Curve]:
    """The curves that have a number."""
    return [curve for curve in curves_of(rows, of) if curve.points]


def _has_a_line(curves: Sequence[Curve]) -> bool:
    return any(len(curve.points) > 1 for curve in curves)


def _mode(row: Row) -> str:
    return row.record.case.workload.mode
