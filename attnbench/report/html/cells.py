"""The columns of the page's table: their headings, and a cell a row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from attnbench.analysis.rows import Row
from attnbench.report.caption import VERDICTS
from attnbench.report.column import Better, Quantity, Standing, standings
from attnbench.report.columns import verdict
from attnbench.report.text_column import TextColumn
from attnbench.words import NOTHING, readable

DESCENDING = "descending"
ASCENDING = "ascending"
PAPER = "As published in «Fast Vision Transformers with HiLo Attention», on other machines."
VERDICT = f"Beside the baseline: {VERDICTS}."


@dataclass(frozen=True, slots=True)
class Head:
    """A heading, which sorts by the first of the cells that it spans, `first` in this direction."""

    title: str
    meaning: str
    kind: str = "words"
    unit: str = ""
    first: str = ASCENDING
    span: int | None = None


@dataclass(frozen=True, slots=True)
class PublishedValue:
    """The paper's value, and what to sort by: nothing, and None, where it has none."""

    text: str
    exact: float | None
    form: ClassVar = "published"


@dataclass(frozen=True, slots=True)
class Value:
    """A row's value of a quantity, between its mark and digits that are not seen.

    `exact` is what to sort by, None where nothing was measured. Interval and published value are None where
    the column has no cell for them.
    """

    text: str
    exact: float | None
    mark: str
    standing: Standing | None
    unseen: str
    interval: str | None
    published: PublishedValue | None
    form: ClassVar = "value"


@dataclass(frozen=True, slots=True)
class Words:
    """What a row says in words, and what to sort by: None where it says nothing."""

    text: str
    sort_by: str | None
    form: ClassVar = "words"


@dataclass(frozen=True, slots=True)
class VerdictCell:
    """What may be said of a row beside the baseline; without a time, what became of it and why."""

    text: str
    kind: str
    sort_by: str | None
    reason: str | None
    form: ClassVar = "verdict"


Cell = Value | PublishedValue | Words | VerdictCell
"""Each `form` of which the template shows in its own way."""


@dataclass(frozen=True, slots=True)
class QuantityColumn:
    """A quantity as this table has it: with as many cells a row as any of its rows needs.

    Where no verdict stands beside it, it `tells` what became of a row without a time.
    """

    quantity: Quantity
    decimals: int
    has_interval: bool
    is_published: bool
    tells: bool = False

    def heads(self) -> Iterator[Head]:
        quantity = self.quantity
        kind, span = ("pair", 2) if self.has_interval else ("number", None)
        yield Head(quantity.title, quantity.meaning, kind, quantity.unit, _first(quantity), span)
        if self.is_published:
            yield Head("paper", PAPER, "number paper", first=_first(quantity))

    def meanings(self) -> dict[str, str]:
        return {self.quantity.heading: self.quantity.meaning}

    def cells(self, rows: Sequence[Row]) -> list[Cell]:
        """The values of rows that are compared with each other."""
        return [
            self._value(row, standing)
            for row, standing in zip(rows, standings(self.quantity, rows), strict=True)
        ]

    def _value(self, row: Row, standing: Standing | None) -> Value:
        estimate, shown = self.quantity.in_unit(row), self.quantity.shown(row)
        missing = self.quantity.missing(row) if self.tells else NOTHING
        return Value(
            text=shown.value if shown else missing,
            exact=estimate.value if estimate else None,
            mark=self.quantity.mark(row),
            standing=standing,
            unseen=_unseen(shown.value, self.decimals) if shown else "",
            interval=(shown.interval_text.strip() if shown else "") if self.has_interval else None,
            published=_published(self.quantity, row) if self.is_published else None,
        )


@dataclass(frozen=True, slots=True)
class PaperColumn:
    """The paper's values of a quantity, where ours are not asked for or stand elsewhere."""

    quantity: Quantity

    def heads(self) -> Iterator[Head]:
        quantity = self.quantity
        yield Head(f"{quantity.title}, paper", PAPER, "number paper", quantity.unit, _first(quantity))

    def meanings(self) -> dict[str, str]:
        return {f"{self.quantity.title}, paper": PAPER}

    def cells(self, rows: Sequence[Row]) -> list[Cell]:
        return [_published(self.quantity, row) for row in rows]


@dataclass(frozen=True, slots=True)
class WordsColumn:
    """What rows say in words, or in numbers that are shown as they are."""

    column: TextColumn
    meaning: str

    def heads(self) -> Iterator[Head]:
        yield Head(sentence_case(self.column.title), self.meaning)

    def meanings(self) -> dict[str, str]:
        return {sentence_case(self.column.title): self.meaning}

    def cells(self, rows: Sequence[Row]) -> list[Cell]:
        return [Words(self.column.text(row), self.column.text_of(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class VerdictColumn:
    """What may be said of rows, or why they have no time."""

    def heads(self) -> Iterator[Head]:
        yield Head("Verdict", VERDICT)

    def meanings(self) -> dict[str, str]:
        return {"Verdict": VERDICT}

    def cells(self, rows: Sequence[Row]) -> list[Cell]:
        return list(map(_verdict, rows))


PageColumn = QuantityColumn | PaperColumn | WordsColumn | VerdictColumn


def quantity_column(
    quantity: Quantity, rows: Sequence[Row], *, with_paper: bool = True, tells: bool = False
) -> QuantityColumn:
    """A quantity with the cells and digits that these rows need, in the unit that they ask for."""
    fitting = quantity.fitting(rows)
    values = [value for row in rows if (value := fitting.shown(row))]
    return QuantityColumn(
        fitting,
        decimals=max((_decimals(value.value) for value in values), default=0),
        has_interval=any(value.interval for value in values),
        is_published=with_paper and any(quantity.published(row) is not None for row in rows),
        tells=tells,
    )


def sentence_case(title: str) -> str:
    """`Noise floor`."""
    return f"{title[0].upper()}{title[1:]}"


def _first(quantity: Quantity) -> str:
    """Which way most readers want it sorted."""
    return DESCENDING if quantity.better is Better.higher else ASCENDING


def _published(quantity: Quantity, row: Row) -> PublishedValue:
    return PublishedValue(quantity.published_text(row), quantity.published_in_unit(row))


def _verdict(row: Row) -> VerdictCell:
    text = verdict(row) if row.timing else readable(row.outcome)
    return VerdictCell(
        text,
        kind=text if row.timing else "outcome",
        sort_by=text if text != NOTHING else None,
        reason=row.record.reason,
    )


def _decimals(value: str) -> int:
    return len(value.partition(".")[2])


def _unseen(value: str, decimals: int) -> str:
    """Digits that keep decimal points under each other, where others of the column have more."""
    missing = decimals - _decimals(value)
    return ("" if "." in value else ".") + "0" * missing if missing else ""
