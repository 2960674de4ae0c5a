"""Figure 4: what a mechanism costs as one of its settings grows, on axes that are given."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.mechanism import Setting
from attnbench.report.figure.style import (
    PAGE_INCHES,
    PAGE_LETTERS,
    PALETTE,
    errors,
    machine_of,
    macs_m,
    suffix,
    total_mib,
)
from attnbench.report.metrics import Row, grouped, setting
from attnbench.statistics import Estimate
from attnbench.sweep import BASELINE

LEAST_VALUES = 3  # of a setting, for a figure over it
FEW_TICKS = 8
HEADROOM = 1.06
PAGE_HEIGHT_INCHES = 2.6
Quantity = Callable[[Row], Estimate | None]


@dataclass(frozen=True, slots=True)
class Sweep:
    """One mechanism's rows by the values of one setting, a line for each choice of its others.

    The rows of a line grow in that setting. `baseline` is what was measured beside them.
    """

    mechanism: str
    key: str
    lines: Mapping[str, Sequence[Row]]
    baseline: Row | None

    @property
    def rows(self) -> list[Row]:
        """All rows that are drawn."""
        return [row for line in self.lines.values() for row in line]

    def value(self, row: Row) -> float:
        """A row's place on the axis."""
        return float(row.record.settings[self.key])


def draw_params(axes: Axes, sweep: Sweep) -> None:
    """Learned numbers of the layer."""
    _draw(axes, sweep, _params_m, "Parameters (M)")


def draw_flops(axes: Axes, sweep: Sweep) -> None:
    """Multiply-adds of one image's forward pass, in millions."""
    _draw(axes, sweep, macs_m, "FLOPs (M)")


def draw_throughput(axes: Axes, sweep: Sweep) -> None:
    """Images per second with their intervals."""
    _draw(axes, sweep, lambda row: row.timing.throughput if row.timing else None, "Throughput (images/s)")
    _draw_misfits(axes, sweep, 0.0)


def draw_memory(axes: Axes, sweep: Sweep) -> None:
    """What a call needs in all."""
    _draw(axes, sweep, total_mib, "Memory (MiB, in all)")
    _draw_misfits(axes, sweep, axes.get_ylim()[1])


def sweeps(rows: Sequence[Row]) -> list[Sweep]:
    """Every setting of a mechanism that has enough values in rows which are equal in all else."""
    return [
        Sweep(mine[0].record.mechanism, key, lines, _baseline(together, mine[0].record.mechanism))
        for together in grouped(rows, lambda row: (row.device, setting(row)))
        for mine in grouped(together, lambda row: row.record.mechanism)
        for key in mine[0].record.settings
        if (lines := _lines(mine, key))
    ]


def settings_pages(rows: Sequence[Row]) -> Iterator[tuple[str, Figure]]:
    """The figures over settings with their names."""
    found, records = sweeps(rows), [row.record for row in rows]
    for sweep in found:
        names = {other.mechanism for other in found if other.key == sweep.key}
        mechanism = f"-{sweep.mechanism}" if len(names) > 1 else ""
        yield f"setting-{sweep.key}{mechanism}{suffix(sweep.rows[0].record, records)}", _page(sweep)


def _lines(rows: Sequence[Row], key: str) -> dict[str, list[Row]]:
    """The rows by their other settings, where these have enough values of this one."""
    numeric = [row for row in rows if isinstance(row.record.settings.get(key), int | float)]
    lines = [
        sorted(line, key=lambda row: float(row.record.settings[key]))
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
    return {name: value for name, value in row.record.settings.items() if name != key}


def _baseline(rows: Sequence[Row], mechanism: str) -> Row | None:
    """The row that the others' speeds are relative to, unless it is of the mechanism itself."""
    labels = [row.timing.baseline for row in rows if row.timing and row.timing.baseline] or [BASELINE]
    return next(
        (row for row in rows if row.record.label == labels[0] and row.record.mechanism != mechanism), None
    )


def _page(sweep: Sweep) -> Figure:
    panels = [draw_params, draw_flops, draw_throughput]
    if any(row.record.memory for row in sweep.rows):
        panels.append(draw_memory)
    record = sweep.rows[0].record
    figure = Figure(figsize=(PAGE_INCHES, PAGE_HEIGHT_INCHES), layout="constrained")
    for axes, draw in zip(figure.subplots(1, len(panels)), panels, strict=True):
        draw(axes, sweep)
    size = f"{record.height}×{record.width} tokens, dim {record.dim}, {record.heads} heads"
    words = f"{size}, batch {record.batch}, {record.variant.title}, {record.mode}"
    figure.suptitle(f"{machine_of(record, PAGE_LETTERS)}\n{words}", fontsize=8)
    handles, names = figure.axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, names, loc="outside lower center", ncols=len(names), fontsize=7.5, frameon=False
        )
    return figure


def _params_m(row: Row) -> Estimate | None:
    return Estimate(row.record.params / 1e6) if row.record.params is not None else None


def _draw(axes: Axes, sweep: Sweep, quantity: Quantity, what: str) -> None:
    """A line for each choice of the other settings, and the baseline's number as a dashed one."""
    for number, (name, rows) in enumerate(sweep.lines.items()):
        found = [(sweep.value(row), estimate) for row in rows if (estimate := quantity(row))]
        estimates = [estimate for _, estimate in found]
        axes.errorbar(
            [value for value, _ in found],
            [estimate.value for estimate in estimates],
            yerr=errors(estimates),
            color=PALETTE[number % len(PALETTE)],
            label=name,
            marker="o",
            markersize=3.5,
            linewidth=1.1,
            capsize=2,
        )
    base = quantity(sweep.baseline) if sweep.baseline else None
    if sweep.baseline and base:
        axes.axhline(
            base.value, color="grey", linestyle="--", linewidth=0.9, label=sweep.baseline.record.title
        )
    values = sorted({sweep.value(row) for row in sweep.rows})
    if len(values) <= FEW_TICKS:
        axes.set_xticks(values, [f"{value:g}" for value in values])
    if any(quantity(row) for row in sweep.rows):
        axes.set_ylim(0, HEADROOM * axes.dataLim.ymax)
    else:
        axes.set(ylim=(0, 1), yticks=[])
    axes.tick_params(labelsize=7)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.set_title(what, fontsize=8, loc="left")
    axes.set_xlabel(f"{sweep.key} of {sweep.mechanism}", fontsize=8)


def _draw_misfits(axes: Axes, sweep: Sweep, edge: float) -> None:
    """A cross at the axis' edge for each value with which the layer ran out of memory."""
    values = [sweep.value(row) for row in sweep.rows if row.record.outcome == "out_of_memory"]
    if values:
        axes.plot(values, [edge] * len(values), "x", color="black", markersize=4.5, clip_on=False, zorder=3)
        axes.text(0.03, 0.03, "× out of memory", fontsize=6.5, transform=axes.transAxes)
