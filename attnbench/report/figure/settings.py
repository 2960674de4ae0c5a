"""Figure 4: what a mechanism costs as one of its settings grows, on axes that are given."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.analysis.rows import Row, grouped, place, setting
from attnbench.cases.sweep import BASELINE
from attnbench.mechanism import Setting
from attnbench.report.colours import MarkStyle, inks_in
from attnbench.report.figure.axis import set_numbers
from attnbench.report.figure.file_names import note, suffix
from attnbench.report.figure.page import Drawing, add_legend, add_note, add_panels, new_page
from attnbench.report.figure.print_size import PLAIN, PrintSize, Width
from attnbench.report.figure.quantities import ValueOf, macs_m, params_m, throughput, total_mib
from attnbench.report.figure.style import CROSS, GREY, errors, line, styled

LEAST_VALUES = 3  # of a setting, for a figure over it
FEW_TICKS = 8
HEADROOM = 1.06
PANEL_INCHES = 1.6  # the least width of one
PLOT_INCHES = 1.45


@dataclass(frozen=True, slots=True)
class Sweep:
    """One mechanism's rows by the values of one setting, a line for each choice of its others.

    The rows of a line grow in that setting. `styles` are those of the lines, in their order. `baseline` is
    what was measured beside them.
    """

    mechanism: str
    key: str
    lines: Mapping[str, Sequence[Row]]
    styles: Sequence[MarkStyle]
    baseline: Row | None

    @property
    def rows(self) -> list[Row]:
        """All rows that are drawn."""
        return [row for line in self.lines.values() for row in line]

    @property
    def title(self) -> str:
        """The mechanism's own, without its settings."""
        record = self.rows[0].record
        return (
            record.case.title
            if record.case.label == self.mechanism
            else record.case.title.rpartition(" (")[0]
        )

    def value(self, row: Row) -> float:
        """A row's x on the axis."""
        return float(row.record.case.settings[self.key])


def draw_params(axes: Axes, sweep: Sweep) -> None:
    """Learned numbers of the layer."""
    _draw(axes, sweep, params_m, "Parameters (M)")


def draw_flops(axes: Axes, sweep: Sweep) -> None:
    """Multiply-adds of one image's forward pass, in millions."""
    _draw(axes, sweep, macs_m, "FLOPs (M)")


def draw_throughput(axes: Axes, sweep: Sweep) -> None:
    """Images per second with their intervals."""
    _draw(axes, sweep, throughput, "Throughput (images/s)")
    _draw_misfits(axes, sweep, 0.0)


def draw_memory(axes: Axes, sweep: Sweep) -> None:
    """What a call needs in all."""
    _draw(axes, sweep, total_mib, "Memory (MiB, in all)")
    _draw_misfits(axes, sweep, axes.get_ylim()[1])


def sweeps(rows: Sequence[Row]) -> list[Sweep]:
    """Every setting of a mechanism that has enough values in rows which are equal in all else."""
    labels = [row.record.case.label for row in rows]
    return [
        Sweep(name, key, lines, inks_in(name, labels, len(lines)), _baseline(together, name))
        for together in grouped(rows, lambda row: (place(row), setting(row)))
        for mine in grouped(together, lambda row: row.record.case.mechanism)
        for name in [mine[0].record.case.mechanism]
        for key in mine[0].record.case.settings
        if (lines := _lines(mine, key))
    ]


def settings_pages(rows: Sequence[Row], wanted: PrintSize = PLAIN) -> Iterator[Drawing]:
    """The figures over settings."""
    all_sweeps, records = sweeps(rows), [row.record for row in rows]
    for sweep in all_sweeps:
        names = {other.mechanism for other in all_sweeps if other.key == sweep.key}
        mechanism = f"-{sweep.mechanism}" if len(names) > 1 else ""
        name = f"setting-{sweep.key}{mechanism}{suffix(sweep.rows[0].record, records)}"
        yield Drawing("settings", name, partial(_page, sweep, wanted))


def _lines(rows: Sequence[Row], key: str) -> dict[str, list[Row]]:
    """The rows by their other settings, where these have enough values of this one."""
    numeric = [row for row in rows if isinstance(row.record.case.settings.get(key), int | float)]
    lines = [
        sorted(line, key=lambda row: float(row.record.case.settings[key]))
        for line in grouped(numeric, lambda row: tuple(_others(row, key).items()))
        if len(line) >= LEAST_VALUES
    ]
    return {_name(line, lines, key): line for line in lines}


def _name(line: Sequence[Row], lines: Sequence[Sequence[Row]], key: str) -> str:
    """What tells a line from the others: `window=2`."""
    mine = _others(line[0], key)
    telling = [
        f"{name}={value}"
        for name, value in mine.items()
        if any(_others(other[0], key).get(name) != value for other in lines)
    ]
    return ", ".join(telling)


def _others(row: Row, key: str) -> dict[str, Setting]:
    return {name: value for name, value in row.record.case.settings.items() if name != key}


def _baseline(rows: Sequence[Row], mechanism: str) -> Row | None:
    """The row that the others' speeds are relative to, unless it is of the mechanism itself."""
    labels = [row.timing.baseline for row in rows if row.timing and row.timing.baseline] or [BASELINE]
    return next(
        (
            row
            for row in rows
            if row.record.case.label == labels[0] and row.record.case.mechanism != mechanism
        ),
        None,
    )


def _page(sweep: Sweep, wanted: PrintSize) -> Figure:
    panels = [draw_params, draw_flops, draw_throughput]
    if any(row.record.memory for row in sweep.rows):
        panels.append(draw_memory)
    with styled():
        page = new_page(wanted.inches(Width.page))
        for axes, draw in zip(add_panels(page, len(panels), PANEL_INCHES, PLOT_INCHES), panels, strict=True):
            draw(axes, sweep)
        add_legend(page)
        add_note(page, note([row.record for row in sweep.rows]), wanted)
    return page


def _draw(axes: Axes, sweep: Sweep, quantity: ValueOf, what: str) -> None:
    """A line for each choice of the other settings, and the baseline's number as a dashed one."""
    for (name, rows), style in zip(sweep.lines.items(), sweep.styles, strict=True):
        points = [(sweep.value(row), estimate) for row in rows if (estimate := quantity(row))]
        values, estimates = [value for value, _ in points], [estimate for _, estimate in points]
        heights = [estimate.value for estimate in estimates]
        axes.errorbar(values, heights, yerr=errors(estimates), label=name, **line(style))
    base = quantity(sweep.baseline) if sweep.baseline else None
    if sweep.baseline and base:
        name = sweep.baseline.record.case.title
        axes.axhline(base.value, color=GREY, linestyle="--", linewidth=0.8, label=name)
    values = sorted({sweep.value(row) for row in sweep.rows})
    if len(values) <= FEW_TICKS:
        axes.set_xticks(values, [f"{value:g}" for value in values])
    if any(quantity(row) for row in sweep.rows):
        axes.set_ylim(0, HEADROOM * axes.dataLim.ymax)
    else:
        axes.set(ylim=(0, 1), yticks=[])
    set_numbers(axes.yaxis)
    axes.set_title(what, loc="left")
    axes.set_xlabel(f"{sweep.key} of {sweep.title}")


def _draw_misfits(axes: Axes, sweep: Sweep, edge: float) -> None:
    """A cross at the axis' edge for each value with which the layer ran out of memory."""
    values = [sweep.value(row) for row in sweep.rows if row.record.outcome == "out_of_memory"]
    if values:
        axes.plot(values, [edge] * len(values), **CROSS)
