"""How figures are drawn for a paper: how wide, and in which files. Knows no matplotlib."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from attnbench.errors import AttnbenchError


class Width(StrEnum):
    """The widths that papers print figures at."""

    column = "column"
    text = "text"
    page = "page"

    @property
    def inches(self) -> float:
        """One of two columns, the text of a page with one column, or both columns."""
        return {"column": 3.5, "text": 5.5, "page": 7.16}[self]


VENUES: Mapping[str, float] = MappingProxyType(
    {"cvpr": 3.25, "iccv": 3.25, "icml": 3.25, "ieee": 3.5, "eccv": 4.8, "iclr": 5.5, "neurips": 5.5}
)
"""How wide, in inches, what is set in one column is there."""
NARROWEST, WIDEST = 1.5, 20.0  # inches
KINDS = ("throughput", "ratios", "flops-time", "front", "scaling", "scaling-ratios", "settings", "kernels")
EVERY = "all"


def read_width(text: str, option: str = "--width") -> float:
    """Inches from `column`, `cvpr`, `3.25in` or `8.3cm`; errors call it by the name of its option."""
    if text in list(Width):
        return Width(text).inches
    if text in VENUES:
        return VENUES[text]
    length = re.fullmatch(r"(\d+\.?\d*|\.\d+) *(in|cm|mm)", text)
    inches = float(length[1]) / {"in": 1.0, "cm": 2.54, "mm": 25.4}[length[2]] if length else 0.0
    if not NARROWEST <= inches <= WIDEST:
        raise AttnbenchError(
            f"{option} is {text!r}; it must be {', '.join([*Width, *VENUES])}, or a length from "
            f"{NARROWEST:g} to {WIDEST:g} inches such as 3.25in or 8.3cm."
        )
    return inches


@dataclass(frozen=True, slots=True)
class PrintSize:
    """What an author asks of all figures; without a width, in inches, each has its own natural one.

    A `bare` figure has no note on setting and machine at its foot, for a paper whose caption has these.
    `kinds` are the figures that are drawn, all of them where none is named; where labels are in `highlight`,
    all others are grey.
    """

    width: float | None = None
    svg: bool = False
    bare: bool = False
    kinds: frozenset[str] = frozenset()
    highlight: frozenset[str] = frozenset()

    @property
    def formats(self) -> tuple[str, ...]:
        """The ends of the names of a figure's files: a bitmap and a vector graphic, or two."""
        return ("png", "pdf", "svg") if self.svg else ("png", "pdf")

    def inches(self, natural: Width) -> float:
        """The width of a figure whose own is `natural`."""
        return self.width or natural.inches

    def wants(self, kind: str) -> bool:
        """Whether figures of this kind are drawn."""
        return not self.kinds or bool(self.kinds & {kind, EVERY})


PLAIN = PrintSize()
