"""The quantities that rows have, defined once for the terminal, files, papers, pages and programs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from attnbench.analysis.energy import idle_w, joules_per_image, watts
from attnbench.analysis.rows import Row, published_ratio
from attnbench.paper import Published
from attnbench.report.digits import Shown, fixed, shown
from attnbench.statistics import Estimate
from attnbench.words import NOTHING, readable

OPEN = "~"
LOWER_BOUND = "≥ "


class Better(Enum):
    """Which values of a column a reader hopes for."""

    higher = "higher"
    lower = "lower"
    neither = "neither"


class Standing(StrEnum):
    """What a value is among those of its column."""

    best = "best"
    second = "second"


def _unmarked(row: Row) -> str:  # noqa: ARG001 - most values need no word of caution
    return ""


def _unpublished(row: Row) -> None:  # noqa: ARG001 - a quantity that the paper has not
    return None


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity that rows have.

    Programs know it by `name`, in `base_unit`; readers by `title`, in `unit`, which is `scale` base units.
    `meaning` says in a sentence what it is and how it is measured. `estimate` gives a row's value with its
    interval, and `published` the paper's value, both in base units, and None where there is none. What has
    fixed `decimals` has no interval; otherwise digits follow it. The paper's values have
    `published_decimals`. `mark` gives what stands before a value that needs a word of caution. A row without
    a time `tells_outcome` where its value would be.
    """

    name: str
    title: str
    unit: str
    base_unit: str
    better: Better
    meaning: str
    estimate: Callable[[Row], Estimate | None]
    published: Callable[[Row], float | None] = _unpublished
    scale: float = 1.0
    decimals: int | None = None
    published_decimals: int = 0
    mark: Callable[[Row], str] = _unmarked
    tells_outcome: bool = False

    @property
    def heading(self) -> str:
        """Title and unit: `Time (ms)`."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def definition(self) -> str:
        """The meaning for a caption: `memory = the most that one call allocates …`."""
        return f"{self.title.lower()} = {self.meaning[0].lower()}{self.meaning[1:-1]}"

    @property
    def ends(self) -> tuple[str, ...]:
        """What follows the name where programs read its value, its interval and the paper's value."""
        interval = ("_low", "_high") if self.decimals is None else ()
        return ("", *interval, *("_published",) * (self.published is not _unpublished))

    @property
    def names(self) -> tuple[str, ...]:
        """`time_s`, `time_s_low` and `time_s_high`: the names of all that programs read of it."""
        return tuple(f"{self.name}{end}" for end in self.ends)

    def in_unit(self, row: Row) -> Estimate | None:
        """A row's value with its interval in the unit that readers know."""
        found = self.estimate(row)
        if found is None or found.low is None or found.high is None:
            return Estimate(found.value / self.scale) if found else None
        return Estimate(found.value / self.scale, found.low / self.scale, found.high / self.scale)

    def published_in_unit(self, row: Row) -> float | None:
        """The paper's value in the unit that readers know."""
        value = self.published(row)
        return None if value is None else value / self.scale

    def shown(self, row: Row) -> Shown | None:
        """A row's value as a reader sees it, without its mark."""
        estimate = self.in_unit(row)
        return shown(estimate, self.decimals) if estimate else None

    def text(self, row: Row) -> str:
        """`~165 [163, 168]`; where there is no value, a dash, or why there is none."""
        found = self.shown(row)
        return f"{self.mark(row)}{found.text}" if found else self.missing(row)

    def missing(self, row: Row) -> str:
        """What stands where a row has no value: what became of it, said once, and dashes."""
        return readable(row.record.outcome) if self.tells_outcome and row.timing is None else NOTHING

    def published_text(self, row: Row) -> str:
        """The paper's value with the paper's digits, or nothing."""
        value = self.published_in_unit(row)
        return "" if value is None else fixed(value, self.published_decimals)


def verdict(row: Row) -> str:
    """What may be said of a row beside its baseline, or that it is that."""
    if row.timing and row.timing.baseline == row.record.case.label:
        return "baseline"
    return (row.timing and row.timing.verdict) or NOTHING


def standings(column: Quantity, rows: Sequence[Row | None]) -> list[Standing | None]:
    """Which rows have a column's best value, and which the next, in the order of the rows.

    Values that read the same share a place. Where all do, or neither direction is better, nothing stands out,
    nor does the worse of only two. A row that is not there has no place, nor has a mere lower bound.
    """
    values = [_as_shown(column, row) for row in rows]
    ranked = sorted({value for value in values if value is not None}, reverse=column.better is Better.higher)
    if len(ranked) < 2 or column.better is Better.neither:
        return [None] * len(rows)
    places = {ranked[0]: Standing.best} | dict.fromkeys(ranked[1:-1][:1], Standing.second)
    return [None if value is None else places.get(value) for value in values]


def _as_shown(column: Quantity, row: Row | None) -> float | None:
    found = column.shown(row) if row else None
    if row is None or found is None or column.mark(row) == LOWER_BOUND:
        return None
    return float(found.value.replace(",", ""))


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


def _open(row: Row) -> str:
    return OPEN if row.timing and not row.timing.converged else ""


def published_params(paper: Published | None) -> int | None:
    """Learnable parameters as Table IV rounds them."""
    return round(paper.params_m * 1e6) if paper else None


def published_macs(paper: Published | None) -> int | None:
    """Multiply-adds as Table IV rounds them."""
    return round(paper.flops_m * 1e6) if paper else None


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
    mark=_open,
    tells_outcome=True,
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
    mark=_open,
    tells_outcome=True,
)
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
)
COLUMNS = (PARAMS, FLOPS, MEMORY, TIME, THROUGHPUT, SPEED, LIMIT)
ENERGY = Quantity(
    name="energy_j_per_image",
    title="Energy",
    unit="mJ/img",
    base_unit="J/img",
    better=Better.lower,
    meaning="Energy of an image by the device's counter: the median over sessions.",
    estimate=joules_per_image,
    scale=1e-3,
    decimals=1,
)
POWER = Quantity(
    name="energy_w",
    title="Power",
    unit="W",
    base_unit="W",
    better=Better.neither,
    meaning="Power of the device while it makes call after call: the median over sessions.",
    estimate=watts,
    decimals=0,
)
IDLE_POWER = Quantity(
    name="energy_idle_w",
    title="Idle power",
    unit="W",
    base_unit="W",
    better=Better.neither,
    meaning="Power of the device before it has anything to do: the median over sessions.",
    estimate=idle_w,
    decimals=0,
)
QUANTITIES = (*COLUMNS, ENERGY, POWER, IDLE_POWER)
"""All that programs read; the last three have no column in tables."""
