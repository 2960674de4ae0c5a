"""The page's table: a line a row, values with their intervals, the published ones beside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from attnbench.analysis.rows import Row
from attnbench.report.caption import VERDICTS, facts, sentence, what_marks_mean
from attnbench.report.colours import MarkStyles
from attnbench.report.column import Better, Quantity, Standing, standings
from attnbench.report.columns import COLUMNS, LIMIT, verdict
from attnbench.report.html.settings import Facet, MeasuredSetting
from attnbench.words import NOTHING, readable

DESCENDING = "descending"
ASCENDING = "ascending"
BEFORE_VERDICT = [quantity for quantity in COLUMNS if quantity is not LIMIT]
MECHANISM = "The layer, with the settings that differ from its own."
PAPER = "As published in «Fast Vision Transformers with HiLo Attention», on other machines."
EMPHASIS = "Bold is the best of a setting, underlined the second"
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


@dataclass(frozen=True, slots=True)
class VerdictCell:
    """What may be said of a row beside the baseline; without a time, what became of it and why."""

    text: str
    kind: str
    sort_by: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the table shows it, `values` before its verdict and `limits` after it.

    `facets` are the setting's texts by the names of facets, `words` what a reader can look for.
    """

    title: str
    label: str
    colour: str
    facets: Mapping[str, str]
    words: str
    is_first: bool
    values: Sequence[Value]
    verdict: VerdictCell
    limits: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Table:
    """Headings, and the lines under them."""

    heads: Sequence[Head]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Filter:
    """A facet, and the texts of it to choose from."""

    name: str
    title: str
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class QuantityColumn:
    """A quantity as this table has it: with as many cells a row as any of its rows needs."""

    quantity: Quantity
    decimals: int
    has_interval: bool
    is_published: bool

    def heads(self) -> Iterator[Head]:
        quantity = self.quantity
        first = DESCENDING if quantity.better is Better.higher else ASCENDING
        kind, span = ("pair", 2) if self.has_interval else ("number", None)
        yield Head(quantity.title, quantity.meaning, kind, quantity.unit, first, span)
        if self.is_published:
            yield Head("paper", PAPER, "number paper", first=first)

    def values(self, rows: Sequence[Row]) -> list[Value]:
        """The values of rows that are compared with each other."""
        return [
            self._value(row, standing)
            for row, standing in zip(rows, standings(self.quantity, rows), strict=True)
        ]

    def _value(self, row: Row, standing: Standing | None) -> Value:
        estimate, shown = self.quantity.in_unit(row), self.quantity.shown(row)
        return Value(
            text=shown.value if shown else NOTHING,
            exact=estimate.value if estimate else None,
            mark=self.quantity.mark(row),
            standing=standing,
            unseen=_unseen(shown.value, self.decimals) if shown else "",
            interval=(shown.interval_text.strip() if shown else "") if self.has_interval else None,
            published=self._published(row) if self.is_published else None,
        )

    def _published(self, row: Row) -> PublishedValue:
        return PublishedValue(self.quantity.published_text(row), self.quantity.published_in_unit(row))


def result_table(settings: Sequence[MeasuredSetting], facets: Sequence[Facet], styles: MarkStyles) -> Table:
    """All rows, with a column for each facet, and the verdict where most look for it: right of the speeds."""
    rows = [row for setting in settings for row in setting.rows]
    before, after = _columns(BEFORE_VERDICT, rows), _columns([LIMIT], rows)
    heads = [
        Head("Mechanism", MECHANISM),
        *(Head(facet.title, facet.title) for facet in facets),
        *(head for column in before for head in column.heads()),
        Head("Verdict", VERDICT),
        *(head for column in after for head in column.heads()),
    ]
    lines = [line for setting in settings for line in _lines(setting, facets, before, after, styles)]
    return Table(heads, lines)


def key(rows: Sequence[Row]) -> str:
    """What marks and emphasis mean."""
    return " ".join(map(sentence, [EMPHASIS, *what_marks_mean(rows), *facts(rows)]))


def meanings(rows: Sequence[Row]) -> dict[str, str]:
    """What each column means, by its heading, for those who cannot hover."""
    columns = (column.quantity for column in _columns(COLUMNS, rows))
    return {quantity.heading: quantity.meaning for quantity in columns} | {"Verdict": VERDICT}


def filters(settings: Sequence[MeasuredSetting], facets: Sequence[Facet]) -> list[Filter]:
    """What rows can be chosen by."""
    return [
        Filter(facet.name, facet.title, list(dict.fromkeys(map(facet.text, settings)))) for facet in facets
    ]


def _columns(quantities: Sequence[Quantity], rows: Sequence[Row]) -> list[QuantityColumn]:
    """Those of the quantities that any row has a value of."""
    return [column for quantity in quantities if (column := _column(quantity, rows))]


def _column(quantity: Quantity, rows: Sequence[Row]) -> QuantityColumn | None:
    values = [value for row in rows if (value := quantity.shown(row))]
    if not values:
        return None
    return QuantityColumn(
        quantity,
        decimals=max(_decimals(value.value) for value in values),
        has_interval=any(value.interval for value in values),
        is_published=any(quantity.published(row) is not None for row in rows),
    )


def _lines(
    setting: MeasuredSetting,
    facets: Sequence[Facet],
    before: Sequence[QuantityColumn],
    after: Sequence[QuantityColumn],
    styles: MarkStyles,
) -> Iterator[Line]:
    """A setting's rows; the best values are those of the setting."""
    texts = {facet.name: facet.text(setting) for facet in facets}
    values, limits = ([column.values(setting.rows) for column in columns] for columns in (before, after))
    for index, row in enumerate(setting.rows):
        case = row.record.case
        yield Line(
            title=case.title,
            label=case.label,
            colour=styles[case.label].colour,
            facets=texts,
            words=f"{case.label} {case.title} {setting.run.name} {setting.title}".lower(),
            is_first=index == 0,
            values=[of_column[index] for of_column in values],
            verdict=_verdict(row),
            limits=[of_column[index] for of_column in limits],
        )


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
