"""A column of words for readers: what a case or a row says under a name that programs know."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from attnbench.analysis.rows import Row
from attnbench.report.column import Better, CaseField, Field
from attnbench.report.csv_text import cell
from attnbench.report.digits import Shown
from attnbench.report.spread import Spread
from attnbench.words import NOTHING, readable


@dataclass(frozen=True, slots=True)
class TextColumn:
    """Words, and numbers that are shown as they are; none of them is the best of its column.

    `text` is None where a row has nothing to say. What is `of_layer` is the same wherever the layer runs.
    """

    name: str
    text_of: Callable[[Row], str | None]
    of_layer: bool = False
    better: ClassVar = Better.neither
    decimals: ClassVar = 0
    unit: ClassVar = ""
    tells_outcome: ClassVar = False
    spread: ClassVar = Spread.ci

    @property
    def title(self) -> str:
        """The name as words: `noise floor`."""
        return readable(self.name)

    @property
    def heading(self) -> str:
        """The title, which has no unit."""
        return self.title

    def estimate(self, row: Row) -> None:
        """Nothing: words have no interval."""

    def published(self, row: Row) -> None:
        """Nothing: the paper has numbers alone."""

    def published_text(self, row: Row) -> str:  # noqa: ARG002
        """Nothing, as words."""
        return ""

    def mark(self, row: Row) -> str:  # noqa: ARG002
        """Nothing: words need no word of caution."""
        return ""

    def missing(self, row: Row) -> str:  # noqa: ARG002
        """A dash."""
        return NOTHING

    def shown(self, row: Row) -> Shown | None:
        """A row's words, as formats ask for numbers."""
        text = self.text_of(row)
        return None if text is None else Shown(text)

    def text(self, row: Row) -> str:
        """A row's words, or a dash."""
        return self.text_of(row) or NOTHING


def text_column(column: CaseField | Field, *, of_layer: bool) -> TextColumn:
    """A case's choice, a word or a plain number as readers see it."""

    def text(row: Row) -> str | None:
        (value,) = column.cells(row).values()
        return _readable(value)

    return TextColumn(column.name, text, of_layer)


def _readable(value: object) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3g}"
    text = cell(value)
    return None if text is None else str(text)
