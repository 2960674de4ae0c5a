"""How figures are drawn for a paper: how wide, and in which files. Knows no matplotlib."""

from dataclasses import dataclass
from enum import StrEnum


class Width(StrEnum):
    """The widths that papers print figures at."""

    column = "column"
    text = "text"
    page = "page"

    @property
    def inches(self) -> float:
        """One of two columns, the text of a page with one column, or both columns."""
        return {"column": 3.5, "text": 5.5, "page": 7.16}[self]


@dataclass(frozen=True, slots=True)
class PrintSize:
    """What an author asks of all figures; without a width each has its own natural one.

    A `bare` figure has no note on setting and machine at its foot, for a paper whose caption has these.
    """

    width: Width | None = None
    svg: bool = False
    bare: bool = False

    @property
    def formats(self) -> tuple[str, ...]:
        """The ends of the names of a figure's files: a bitmap and a vector graphic, or two."""
        return ("png", "pdf", "svg") if self.svg else ("png", "pdf")

    def inches(self, natural: Width) -> float:
        """The width of a figure whose own is `natural`."""
        return (self.width or natural).inches


PLAIN = PrintSize()
