"""The front: which layers no other beats in throughput and in a cost at once."""

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.analysis.rows import Measured
from attnbench.report.colours import MarkStyles
from attnbench.report.figure.axis import set_numbers
from attnbench.report.figure.file_names import note
from attnbench.report.figure.page import add_legend, add_note, add_panels, is_first_of_row, new_page
from attnbench.report.figure.print_size import PLAIN, PrintSize, Width
from attnbench.report.figure.quantities import ValueOf, energy_mj, macs_m, params_m, total_mib
from attnbench.report.figure.style import GREY, LETTER_INCHES, SMALL, errors, point, styled

LEAST_LAYERS = 3  # a front of fewer says nothing
PANEL_INCHES = 1.75  # the least width of one
PLOT_INCHES = 1.75
TITLE_LETTERS = int(PANEL_INCHES / LETTER_INCHES)
MARGIN = 0.06  # of an axis, beyond what is drawn
EXPLAINED = "Front: each layer on it has a higher median than all that cost no more."
COSTS: dict[str, ValueOf] = {
    "Parameters (M)": params_m,
    "FLOPs (M)": macs_m,
    "Memory (MiB, in all)": total_mib,
    "Energy (mJ/img)": energy_mj,
}


def front(rows: Sequence[Measured], cost: ValueOf) -> list[Measured]:
    """The rows with a cost that none beats, from the cheapest to the fastest.

    A row beats another that is better in neither throughput nor cost, and worse in one of them.
    """
    priced = [(price.value, row) for row in rows if (price := cost(row))]
    best: list[Measured] = []
    for _, row in sorted(priced, key=lambda pair: (pair[0], -_speed(pair[1]))):
        if not best or _speed(row) > _speed(best[-1]):
            best.append(row)
    return best


def draw_pareto(axes: Axes, rows: Sequence[Measured], styles: MarkStyles, name: str, cost: ValueOf) -> None:
    """Throughput over a cost with its intervals, and a line that steps along the front."""
    points = {row.record.case.label: (price.value, _speed(row)) for row in rows if (price := cost(row))}
    for row in rows:
        if price := cost(row):
            spread, how = errors([row.timing.throughput]), point(styles[row.record.case.label])
            across = errors([price]) if price.low is not None else None
            title, at = row.record.case.title, points[row.record.case.label]
            axes.errorbar(*at, xerr=across, yerr=spread, label=title, clip_on=False, **how)
    corners = [points[row.record.case.label] for row in front(rows, cost)]
    if len(corners) > 1:
        xs, ys = zip(*corners, strict=True)
        axes.plot(xs, ys, color=GREY, drawstyle="steps-post", linewidth=0.8, zorder=1, label="front")
    _set_ends(axes)
    for axis in (axes.xaxis, axes.yaxis):
        set_numbers(axis)
    axes.set_xlabel(name)
    axes.grid()


def pareto_page(
    parts: Mapping[str, Sequence[Measured]], styles: MarkStyles, wanted: PrintSize = PLAIN
) -> Figure:
    """A panel for each part that was timed in one place, under its name, and cost that has numbers there."""
    fronts = [
        (where, rows, name)
        for where, rows in parts.items()
        for name, cost in COSTS.items()
        if any(map(cost, rows))
    ]
    with styled():
        page = new_page(wanted.inches(Width.page))
        panels = add_panels(page, len(fronts), PANEL_INCHES, PLOT_INCHES)
        for axes, (where, rows, name) in zip(panels, fronts, strict=True):
            draw_pareto(axes, rows, styles, name, COSTS[name])
            axes.set_ylabel("Throughput (images/s)" if is_first_of_row(axes) else "")
            names = ", ".join(row.record.case.title for row in front(rows, COSTS[name]))
            title = f"{where}, front: {names}" if where else f"front: {names}"
            axes.set_title(textwrap.fill(title, TITLE_LETTERS), fontsize=SMALL, loc="left")
        if any(axes.get_ylim()[0] == 0 for axes in panels):
            _begin_at_nought(panels)
        add_legend(page)
        records = [row.record for rows in parts.values() for row in rows]
        add_note(page, f"{EXPLAINED} {note(records)}", wanted)
    return page


def _set_ends(axes: Axes) -> None:
    """Both axes hold the points and little more, or both begin at nought where one of them nearly does."""
    axes.margins(MARGIN)
    if min(*axes.get_xlim(), *axes.get_ylim()) <= 0:
        _begin_at_nought([axes])


def _begin_at_nought(panels: Sequence[Axes]) -> None:
    for axes in panels:
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)


def _speed(row: Measured) -> float:
    return row.timing.throughput.value
