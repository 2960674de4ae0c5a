"""What stands behind a value: its interval, or how far its samples are apart, as many venues print it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnbench.analysis.samples import Samples
    from attnbench.statistics import Estimate


class Spread(StrEnum):
    """Which of them: a 95 % interval of the median, a standard deviation, or the quartiles."""

    ci = "ci"
    std = "std"
    iqr = "iqr"

    @property
    def heading(self) -> str:
        """What a column's heading says of it: `[95 %]`."""
        return WORDS[self].heading

    @property
    def middle(self) -> str:
        """What the values are: `medians`."""
        return WORDS[self].middle

    @property
    def told(self) -> str:
        """What a caption calls it: `95 % bootstrap intervals`."""
        return WORDS[self].told

    @property
    def reach(self) -> str:
        """What small numbers beside a value are in LaTeX."""
        return WORDS[self].reach

    def estimate(self, found: "Estimate", samples: "Samples") -> "Estimate":
        """The value of an estimate with what is asked for to either side of it, from the same samples."""
        from attnbench.statistics import between_quartiles, mean_with_deviation

        match self:
            case Spread.std:
                return mean_with_deviation(samples)
            case Spread.iqr:
                return between_quartiles(found.value, samples)
        return found


@dataclass(frozen=True, slots=True)
class Words:
    """How a spread is called in headings, captions and below LaTeX's tables."""

    heading: str
    middle: str
    told: str
    reach: str


WORDS: Mapping[Spread, Words] = {
    Spread.ci: Words(
        "[95 %]", "medians", "95 % bootstrap intervals", "small numbers reach to the ends of intervals"
    ),
    Spread.std: Words(
        "± std", "means", "± one standard deviation of their samples", "± = one standard deviation"
    ),
    Spread.iqr: Words(
        "[IQR]",
        "medians",
        "[first, third quartile] of their samples",
        "small numbers reach to the first and third quartile",
    ),
}
