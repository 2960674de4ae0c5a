"""The page's table: a line a row, values with their intervals, the published ones beside them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attnbench.analysis.rows import Row
from attnbench.report.caption import VERDICTS, facts, sentence, what_is_open
from attnbench.report.colours import MarkStyle, MarkStyles
from attnbench.report.column import Better, Quantity, Standing, standings
from attnbench.report.columns import COLUMNS, LIMIT, verdict
from attnbench.report.html.markup import Markup, joined, tag
from attnbench.report.html.places import Facet, Place
from attnbench.words import NOTHING, readable

DESCENDING = "descending"
ASCENDING = "ascending"
MECHANISM = "The layer, with the settings that differ from its own."
PAPER = "As published in Table IV of «Fast Vision Transformers with HiLo Attention», on other machines."
EMPHASIS = "Bold is the best of a setting, underlined the second"
VERDICT = f"Beside the baseline: {VERDICTS}."


@dataclass(frozen=True, slots=True)
class CellGroup:
    """A column as this table has it: with as many cells a row as any of its rows needs."""

    column: Quantity
    decimals: int
    has_interval: bool
    is_published: bool

    def heads(self) -> Iterator[Markup]:
        first = DESCENDING if self.column.better is Better.higher else ASCENDING
        title, unit = self.column.title, self.column.unit
        kind = "pair" if self.has_interval else "number"
        yield _head(title, self.column.meaning, kind, unit=unit, first=first, cells=1 + self.has_interval)
        if self.is_published:
            yield _head("paper", PAPER, "number paper", first=first)

    def cells(self, row: Row, standing: Standing | None) -> Iterator[Markup]:
        estimate, shown = self.column.in_unit(row), self.column.shown(row)
        if estimate and shown:
            value = tag("span", shown.value, class_=standing)
            content = joined(self.column.mark(row), value, _padding(shown.value, self.decimals))
            yield tag("td", content, class_="number", data_sort=repr(estimate.value))
        else:
            yield tag("td", NOTHING, class_="number nothing")
        if self.has_interval:
            interval = f"[{', '.join(shown.interval)}]" if shown and shown.interval else ""
            yield tag("td", interval, class_="interval")
        if self.is_published:
            theirs = self.column.published_in_unit(row)
            sort_by = repr(theirs) if theirs is not None else None
            yield tag("td", self.column.published_text(row), class_="number paper", data_sort=sort_by)


def result_table(places: Sequence[Place], facets: Sequence[Facet], styles: MarkStyles) -> Markup:
    """All rows, under headings that sort them; each facet is a column."""
    table = [row for place in places for row in place.rows]
    quantities = list(_quantities(table))
    heads = [
        _head("Mechanism", MECHANISM),
        *(_head(facet.title, facet.title) for facet in facets),
        *_with_verdict(quantities, [quantity.heads() for quantity in quantities], _head("Verdict", VERDICT)),
    ]
    lines = [line for place in places for line in _lines(place, facets, quantities, styles)]
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *lines), id="results")


def key(rows: Sequence[Row]) -> str:
    """What marks and emphasis mean."""
    return " ".join(map(sentence, [EMPHASIS, *what_is_open(rows), *facts(rows)]))


def meanings(rows: Sequence[Row]) -> Markup:
    """What each column means, for those who cannot hover."""
    said = {q.column.heading: q.column.meaning for q in _quantities(rows)} | {"Verdict": VERDICT}
    return tag("dl", *(joined(tag("dt", title), tag("dd", meaning)) for title, meaning in said.items()))


def filters(places: Sequence[Place], facets: Sequence[Facet]) -> Markup:
    """A list to choose from for each facet."""
    return joined(*(_filter(facet, places) for facet in facets))


def _quantities(rows: Sequence[Row]) -> Iterator[CellGroup]:
    """The columns that any row has a value in."""
    for column in COLUMNS:
        shown = [found for row in rows if (found := column.shown(row))]
        if shown:
            yield CellGroup(
                column,
                decimals=max(_decimals(found.value) for found in shown),
                has_interval=any(found.interval for found in shown),
                is_published=any(column.published(row) is not None for row in rows),
            )


def _lines(
    place: Place, facets: Sequence[Facet], quantities: Sequence[CellGroup], styles: MarkStyles
) -> Iterator[Markup]:
    """A place's rows; the best values are those of the place."""
    stand = [standings(quantity.column, place.rows) for quantity in quantities]
    chosen = {f"data_{facet.name}": facet.text(place) for facet in facets}
    settings = [tag("td", text, class_="words", data_sort=text) for text in chosen.values()]
    for number, row in enumerate(place.rows):
        values = [
            quantity.cells(row, standing[number])
            for quantity, standing in zip(quantities, stand, strict=True)
        ]
        words = f"{row.record.case.label} {row.record.case.title} {place.run.name} {place.title}"
        yield tag(
            "tr",
            _name(row, styles[row.record.case.label]),
            *settings,
            *_with_verdict(quantities, values, _verdict(row)),
            class_="first" if number == 0 else None,
            data_words=words.lower(),
            **chosen,
        )


def _with_verdict(
    quantities: Sequence[CellGroup], cells: Sequence[Iterator[Markup]], verdict_cell: Markup
) -> list[Markup]:
    """The cells of all quantities, with the verdict where most look for it: right of the speeds."""
    together = [joined(*mine) for mine in cells]
    together.insert(sum(quantity.column is not LIMIT for quantity in quantities), verdict_cell)
    return together


def _name(row: Row, style: MarkStyle) -> Markup:
    dot = tag("i", class_="dot", style=f"--own:{style.colour}")
    return tag(
        "th",
        dot,
        row.record.case.title,
        scope="row",
        title=row.record.case.label,
        data_sort=row.record.case.title,
    )


def _verdict(row: Row) -> Markup:
    """What may be said beside the baseline; of a row without a time, what became of it and why."""
    said = verdict(row) if row.timing else readable(row.record.outcome)
    reason = tag("small", row.record.reason) if row.record.reason else ""
    sort_by = said if said != NOTHING else None
    kind = said if row.timing else "outcome"
    return tag("td", tag("span", said, class_=f"verdict {kind}"), reason, class_="words", data_sort=sort_by)


def _head(
    title: str, meaning: str, kind: str = "words", unit: str = "", first: str = ASCENDING, cells: int = 1
) -> Markup:
    """A heading that is a button: it sorts by the first of its cells, `first` in this direction."""
    button = tag("button", title, tag("small", unit), type="button", title=meaning)
    span = str(cells) if cells > 1 else None
    return tag("th", button, scope="col", colspan=span, class_=kind, data_first=first)


def _filter(facet: Facet, places: Sequence[Place]) -> Markup:
    texts = dict.fromkeys(facet.text(place) for place in places)
    options = [tag("option", "all", value=""), *(tag("option", text, value=text) for text in texts)]
    return tag("label", facet.title, tag("select", *options, data_facet=facet.name))


def _decimals(value: str) -> int:
    return len(value.partition(".")[2])


def _padding(value: str, decimals: int) -> Markup:
    """What keeps decimal points under each other: unseen digits where others of the column have some."""
    missing = decimals - _decimals(value)
    unseen = ("" if "." in value else ".") + "0" * missing if missing else ""
    return tag("i", unseen, class_="pad", aria_hidden="true") if unseen else Markup()
