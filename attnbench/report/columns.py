"""All columns of rows in the order of table.csv, and the quantities among them: numbers that readers see.

A new quantity is defined here and takes its place in `ALL_COLUMNS`: every table, file and page follows.
"""

from dataclasses import replace

from attnbench.analysis.energy import idle_w, joules_per_image, watts
from attnbench.analysis.rows import Row, published_ratio
from attnbench.analysis.samples import seconds, shares_of_limit, speeds, throughputs
from attnbench.paper import Printed
from attnbench.report.column import IMPOSSIBLE, LOWER_BOUND, OPEN, Better, Column, Quantity, View
from attnbench.report.fields import (
    BASELINE,
    CASE,
    CHECKED,
    COUNTED,
    EVIDENCE,
    IMPOSSIBLY_FAST,
    LIMITED_BY,
    ORIGIN,
    OUTCOME,
    THREADS,
    VERDICT,
    WEIGHED,
)
from attnbench.statistics import Estimate
from attnbench.words import NOTHING


def verdict(row: Row) -> str:
    """What may be said of a row beside its baseline, or that it is that."""
    if row.timing and row.timing.baseline == row.record.case.label:
        return "baseline"
    return (row.timing and row.timing.verdict) or NOTHING


def _params(row: Row) -> Estimate | None:
    return Estimate(row.record.params) if row.record.params is not None else None


def _macs(row: Row) -> Estimate | None:
    return Estimate(row.record.macs) if row.record.macs is not None else None


def _memory(row: Row) -> Estimate | None:
    return Estimate(row.record.memory.peak_bytes) if row.record.memory else None


def _time(row: Row) -> Estimate | None:
    return row.timing.time_s if row.timing else None


def _throughput(row: Row) -> Estimate | None:
    return row.timing.throughput if row.timing else None


def _speed(row: Row) -> Estimate | None:
    """The baseline is exactly as fast as itself."""
    if row.timing and row.timing.baseline == row.record.case.label:
        return Estimate(1.0)
    return row.timing.speed if row.timing else None


def _limit(row: Row) -> Estimate | None:
    return row.timing.limit.fraction if row.timing and row.timing.limit else None


def _published_throughput(row: Row) -> float | None:
    return row.published.imgs_per_s(row.device) if row.published else None


def _impossible(row: Row) -> str:
    return IMPOSSIBLE if row.timing and row.timing.impossible else ""


def _impossible_or_open(row: Row) -> str:
    return _impossible(row) or (OPEN if row.timing and not row.timing.converged else "")


def _mark_of_ratio(row: Row) -> str:
    return _impossible_or_open(row) if row.timing and row.timing.speed else _impossible(row)


def _mark_of_level(row: Row) -> str:
    """What is open is the ratio, where there is one."""
    return _impossible(row) if row.timing and row.timing.speed else _impossible_or_open(row)


def published_params(paper: Printed | None) -> int | None:
    """Learnable parameters as the paper rounds them."""
    return round(paper.params_m * 1e6) if paper and paper.params_m else None


def published_macs(paper: Printed | None) -> int | None:
    """Multiply-adds as the paper rounds them."""
    return round(paper.flops_m * 1e6) if paper and paper.flops_m else None


PARAMS = Quantity(
    name="params",
    title="Params",
    unit="M",
    base_unit="parameters",
    better=Better.lower,
    meaning="Learnable parameters of the layer, counted exactly.",
    estimate=_params,
    published=lambda row: published_params(row.published),
    scale=1e6,
    decimals=2,
    published_decimals=2,
    of_layer=True,
    small=("K", 1e3),
)
FLOPS = Quantity(
    name="macs",
    title="FLOPs",
    unit="M",
    base_unit="multiply-adds",
    better=Better.lower,
    meaning=(
        "Multiply-adds of one image's forward pass, counted operator by operator; 1 FLOP is one multiply-add."
    ),
    estimate=_macs,
    published=lambda row: published_macs(row.published),
    scale=1e6,
    decimals=1,
    published_decimals=1,
    mark=lambda row: LOWER_BOUND if row.record.uncounted else "",
    of_layer=True,
    small=("K", 1e3),
)
MEMORY = Quantity(
    name="memory_bytes",
    title="Memory",
    unit="MiB",
    base_unit="bytes",
    better=Better.lower,
    meaning="The most that one call allocates beyond weights and input, by torch's allocator.",
    estimate=_memory,
    scale=2**20,
    decimals=1,
    small=("KiB", 2**10),
)
TIME = Quantity(
    name="time_s",
    title="Time",
    unit="ms",
    base_unit="s",
    better=Better.lower,
    meaning="Time of one call on the whole batch: the median over rounds, with a bootstrap interval.",
    estimate=_time,
    scale=1e-3,
    mark=_mark_of_level,
    tells_outcome=True,
    views=View.page,
    samples=seconds,
)
THROUGHPUT = Quantity(
    name="imgs_per_s",
    title="Throughput",
    unit="img/s",
    base_unit="img/s",
    better=Better.higher,
    meaning="Images per second: the batch over the median time of a call, with a bootstrap interval.",
    estimate=_throughput,
    published=_published_throughput,
    mark=_mark_of_level,
    tells_outcome=True,
    samples=throughputs,
)
THROUGHPUT_ALONE = replace(THROUGHPUT, mark=_impossible_or_open)  # in a table that has no ratio beside it
SPEED = Quantity(
    name="speed_vs_baseline",
    title="Speed-up",
    unit="×",
    base_unit="×",
    better=Better.higher,
    meaning="How many times as fast as the baseline: the median ratio over rounds that timed both in turn.",
    estimate=_speed,
    published=published_ratio,
    published_decimals=2,
    mark=_mark_of_ratio,
    samples=speeds,
)
LIMIT = Quantity(
    name="fraction_of_limit",
    title="Of limit",
    unit="",
    base_unit="",
    better=Better.neither,  # a layer that does more work than it needs may do it well
    meaning=(
        "Share of what this machine's own matmul rate and copy bandwidth allow, both measured in the same "
        "rounds."
    ),
    estimate=_limit,
    views=View.terminal | View.page,
    samples=shares_of_limit,
)
MEAN_OF_SESSIONS = "the mean over sessions, with the interval of Student's t"
ENERGY = Quantity(
    name="energy_j_per_image",
    title="Energy",
    unit="mJ/img",
    base_unit="J/img",
    better=Better.lower,
    meaning=f"Energy of an image by the device's counter: {MEAN_OF_SESSIONS}.",
    estimate=joules_per_image,
    scale=1e-3,
)
POWER = Quantity(
    name="energy_w",
    title="Power",
    unit="W",
    base_unit="W",
    better=Better.neither,
    meaning=f"Power of the device while it makes call after call: {MEAN_OF_SESSIONS}.",
    estimate=watts,
)
IDLE_POWER = Quantity(
    name="energy_idle_w",
    title="Idle power",
    unit="W",
    base_unit="W",
    better=Better.neither,
    meaning="Power of the device before it has anything to do: the mean over sessions.",
    estimate=idle_w,
    decimals=0,
    views=View.nowhere,
)
ALL_COLUMNS: tuple[Column, ...] = (
    *CASE,
    THREADS,
    *OUTCOME,
    PARAMS,
    FLOPS,
    *COUNTED,
    MEMORY,
    *WEIGHED,
    *CHECKED,
    TIME,
    THROUGHPUT,
    BASELINE,
    SPEED,
    VERDICT,
    LIMIT,
    LIMITED_BY,
    IMPOSSIBLY_FAST,
    *EVIDENCE,
    ENERGY,
    POWER,
    IDLE_POWER,
    *ORIGIN,
)
"""Those of table.csv, in its order: what programs read is a projection of them."""
QUANTITIES = tuple(column for column in ALL_COLUMNS if isinstance(column, Quantity))
COLUMNS = tuple(column for column in QUANTITIES if View.page in column.views)
"""What the page has."""


def seen_in(view: View, *, of_layer: bool) -> list[Quantity]:
    """The quantities that readers meet there: those of layers alone, or those of where they ran."""
    return [column for column in QUANTITIES if view in column.views and column.of_layer is of_layer]
