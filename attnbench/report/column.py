"""What a column is: a field of cases or rows, or a quantity with its interval; and what stands out in it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, Flag, StrEnum, auto
from typing import ClassVar

from attnbench.analysis.rows import Row
from attnbench.analysis.samples import Samples
from attnbench.cases.case import Case
from attnbench.report.digits import Shown, fixed, shown
from attnbench.report.spread import Spread
from attnbench.statistics import Estimate
from attnbench.words import NOTHING, readable

Line = dict[str, object]
"""What programs read, by name."""
OWN_KERNEL = "own kernel"
OPEN = "~"
LOWER_BOUND = "≥ "
IMPOSSIBLE = "!"


class Better(Enum):
    """Which values of a column a reader hopes for."""

    higher = "higher"
    lower = "lower"
    neither = "neither"


class View(Flag):
    """Where readers meet a quantity: at a terminal, in tables for papers, in the wide CSV, on the page."""

    nowhere = 0
    terminal = auto()
    paper = auto()
    wide = auto()
    page = auto()
    everywhere = terminal | paper | wide | page


class Standing(StrEnum):
    """What a value is among those of its column."""

    best = "best"
    second = "second"


@dataclass(frozen=True, slots=True)
class CaseField:
    """A choice that makes a case: `of` gives it, and `meaning` says in a sentence what it is.

    Programs know it by `name`, which is the record's.
    """

    name: str
    meaning: str
    of: Callable[[Case], object]
    base_unit: ClassVar = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The one name that programs read."""
        return (self.name,)

    def cells(self, row: Row) -> Line:
        """What was chosen for a row, under its name."""
        return {self.name: self.of(row.record.case)}


@dataclass(frozen=True, slots=True)
class Field:
    """A word or a plain number that rows have, which programs know by `name`.

    `meaning` says in a sentence what it is. `of` gives a row's value, in `base_unit` where it has one, and
    None where there is none.
    """

    name: str
    meaning: str
    of: Callable[[Row], object]
    base_unit: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The one name that programs read."""
        return (self.name,)

    def cells(self, row: Row) -> Line:
        """A row's value under its name."""
        return {self.name: self.of(row)}


def _unmarked(row: Row) -> str:  # noqa: ARG001 - most values need no word of caution
    return ""


def _unpublished(row: Row) -> None:  # noqa: ARG001 - a quantity that the paper has not
    return None


def _unsampled(row: Row) -> None:  # noqa: ARG001 - a quantity that is no median
    return None


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity that rows have.

    Programs know it by `name`, in `base_unit`; readers by `title`, in `unit`, which is `scale` base units.
    `meaning` says in a sentence what it is and how it is measured. `estimate` gives a row's value with its
    interval, and `published` the paper's value, both in base units, and None where there is none. What has
    fixed `decimals` has no interval; otherwise digits follow it. The paper's values have
    `published_decimals`. `mark` gives what stands before a value that needs a word of caution. A row without
    a time `tells_outcome` where its value would be. What is `of_layer` is the same wherever the layer runs.
    Readers meet it in its `views`, programs everywhere. `samples` gives what a row's value is the median of,
    and `spread` says what stands behind that; `small` is the unit, with its scale, for a table of small ones.
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
    of_layer: bool = False
    views: View = View.everywhere
    samples: Callable[[Row], Samples | None] = _unsampled
    spread: Spread = Spread.ci
    small: tuple[str, float] | None = None

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

    def spread_by(self, spread: Spread) -> "Quantity":
        """The same with another spread behind its values, where they are medians of samples."""
        if spread is Spread.ci or self.samples is _unsampled:
            return self

        def estimate(row: Row) -> Estimate | None:
            found, samples = self.estimate(row), self.samples(row)
            return found if found is None or samples is None else spread.estimate(found, samples)

        return replace(self, estimate=estimate, spread=spread)

    def fitting(self, rows: Sequence[Row]) -> "Quantity":
        """The same in a unit in which each of the rows has two digits at least: 40.2 K instead of 0.04 M."""
        known = [found.value for row in rows if (found := self.estimate(row))]
        if self.small is None or self.decimals is None:
            return self
        two_digits = self.scale * 10.0 ** (1 - self.decimals)
        if min(known, default=two_digits) >= two_digits:
            return self
        unit, scale = self.small
        return replace(self, unit=unit, scale=scale, decimals=1, published_decimals=0)

    def cells(self, row: Row) -> Line:
        """A row's value under its name, the ends of its interval, and the paper's value beside it."""
        found = self.estimate(row)
        values = {
            "": found.value if found else None,
            "_low": found.low if found else None,
            "_high": found.high if found else None,
            "_published": self.published(row),
        }
        return {f"{self.name}{end}": values[end] for end in self.ends}

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
        deviates = self.spread is Spread.std
        return shown(estimate, self.decimals, deviates=deviates) if estimate else None

    def text(self, row: Row) -> str:
        """`~165 [163, 168]`; where there is no value, a dash, or why there is none."""
        found = self.shown(row)
        return f"{self.mark(row)}{found.text}" if found else self.missing(row)

    def missing(self, row: Row) -> str:
        """What stands where a row has no value: what became of it, said once, and dashes."""
        return readable(row.outcome) if self.tells_outcome and row.timing is None else NOTHING

    def published_text(self, row: Row) -> str:
        """The paper's value with the paper's digits, or nothing."""
        value = self.published_in_unit(row)
        whole = self.of_layer and row.record.case.workload.geometry.images  # as models are printed: 28 M
        return "" if value is None else fixed(value, 0 if whole else self.published_decimals)


Column = CaseField | Field | Quantity


def standings(column: Quantity, rows: Sequence[Row | None]) -> list[Standing | None]:
    """Which rows have a column's best value, and which the next, in the order of the rows.

    Values that read the same share a place. Where all do, or neither direction is better, nothing stands out,
    nor does the worse of only two. A row that is not there has no place, nor has a mere lower bound, nor what
    is impossible.
    """
    values = [_as_shown(column, row) for row in rows]
    ranked = sorted({value for value in values if value is not None}, reverse=column.better is Better.higher)
    if len(ranked) < 2 or column.better is Better.neither:
        return [None] * len(rows)
    places = {ranked[0]: Standing.best} | dict.fromkeys(ranked[1:-1][:1], Standing.second)
    return [None if value is None else places.get(value) for value in values]


def named(title: str, rows: Iterable[Row]) -> str:
    """A title, and that the layer of these rows asks for torch's fused attention: `Mine (own kernel)`."""
    return f"{title} ({OWN_KERNEL})" if any(row.has_own_kernel for row in rows) else title


def _as_shown(column: Quantity, row: Row | None) -> float | None:
    found = column.shown(row) if row else None
    if row is None or found is None or column.mark(row) in (LOWER_BOUND, IMPOSSIBLE):
        return None
    return float(found.value.replace(",", ""))
