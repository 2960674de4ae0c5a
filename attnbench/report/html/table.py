"""The page's table: a line a row, values with their intervals, the published ones beside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from attnbench.analysis.rows import Row
from attnbench.report.caption import facts, sentence, what_marks_mean
from attnbench.report.colours import MarkStyles
from attnbench.report.column import Quantity, named
from attnbench.report.columns import COLUMNS, LIMIT
from attnbench.report.fields import VERDICT
from attnbench.report.html.cells import (
    Cell,
    Head,
    PageColumn,
    PaperColumn,
    VerdictColumn,
    WordsColumn,
    quantity_column,
)
from attnbench.report.html.settings import Facet, MeasuredSetting
from attnbench.report.table_style import STYLE, Asked, TableStyle

BEFORE_VERDICT = [quantity for quantity in COLUMNS if quantity is not LIMIT]
MECHANISM = "The layer, with the settings that differ from its own."
EMPHASIS = "Bold is the best of a setting, underlined the second"


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the table shows it.

    `facets` are the setting's texts by the names of facets, `words` what a reader can look for.
    """

    title: str
    label: str
    colour: str
    facets: Mapping[str, str]
    words: str
    is_first: bool
    cells: Sequence[Cell]


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


def result_table(
    settings: Sequence[MeasuredSetting],
    facets: Sequence[Facet],
    styles: MarkStyles,
    style: TableStyle = STYLE,
) -> Table:
    """All rows, with a column for each facet, and then those of the page, or those that are asked for."""
    columns = columns_of([row for setting in settings for row in setting.rows], style)
    heads = [
        Head("Mechanism", MECHANISM),
        *(Head(facet.title, facet.title) for facet in facets),
        *(head for column in columns for head in column.heads()),
    ]
    lines = [line for setting in settings for line in _lines(setting, facets, columns, styles)]
    return Table(heads, lines)


def columns_of(rows: Sequence[Row], style: TableStyle = STYLE) -> list[PageColumn]:
    """Those that are asked for; or all that any row has a value of, and the verdict right of the speeds."""
    if style.columns:
        alone = not any(each.source is VERDICT for each in style.columns)
        return [_asked(each, rows, tells=alone) for each in style.columns]
    before, after = (
        [quantity_column(each, rows) for each in those if any(map(each.estimate, rows))]
        for those in (BEFORE_VERDICT, [LIMIT])
    )
    return [*before, VerdictColumn(), *after]


def key(rows: Sequence[Row]) -> str:
    """What marks and emphasis mean."""
    return " ".join(map(sentence, [EMPHASIS, *what_marks_mean(rows), *facts(rows)]))


def meanings(rows: Sequence[Row], style: TableStyle = STYLE) -> dict[str, str]:
    """What each column means, by its heading, for those who cannot hover."""
    columns = columns_of(rows, style)
    return {title: meaning for column in columns for title, meaning in column.meanings().items()}


def filters(settings: Sequence[MeasuredSetting], facets: Sequence[Facet]) -> list[Filter]:
    """What rows can be chosen by."""
    return [
        Filter(facet.name, facet.title, list(dict.fromkeys(map(facet.text, settings)))) for facet in facets
    ]


def _asked(asked: Asked, rows: Sequence[Row], *, tells: bool) -> PageColumn:
    """A column that a reader asks for; the paper's only where it is asked for itself."""
    if asked.source is VERDICT:
        return VerdictColumn()
    column = asked.column
    if not isinstance(column, Quantity):
        return WordsColumn(column, asked.source.meaning)
    if asked.is_paper:
        return PaperColumn(column.fitting(rows))
    return quantity_column(column, rows, with_paper=False, tells=tells)


def _lines(
    setting: MeasuredSetting, facets: Sequence[Facet], columns: Sequence[PageColumn], styles: MarkStyles
) -> Iterator[Line]:
    """A setting's rows; the best values are those of the setting."""
    texts = {facet.name: facet.text(setting) for facet in facets}
    by_column = [column.cells(setting.rows) for column in columns]
    for index, row in enumerate(setting.rows):
        case = row.record.case
        yield Line(
            title=named(case.title, [row]),
            label=case.label,
            colour=styles[case.label].colour,
            facets=texts,
            words=f"{case.label} {case.title} {setting.run.name} {setting.title}".lower(),
            is_first=index == 0,
            cells=[of_column[index] for of_column in by_column],
        )
