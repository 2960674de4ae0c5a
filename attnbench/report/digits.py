"""How many digits of a number are shown: as many as its interval bears, the same in every format.

An interval is three to thirty units of the last digit wide: 165 [163, 168], 104.6 [103.2, 105.6], 118 [97,
126]. So rounding moves no end by more than a sixth of the width, and no digit is shown that means nothing. A
count has the decimals of its column, and more where it would have fewer than two significant digits.
"""

import math
from dataclasses import dataclass

from attnbench.statistics import Estimate
from attnbench.words import NOTHING

LEAST_UNITS = 3  # of the last digit, that an interval is wide
LEAST_WIDTH = 1e-6  # of the value: what is narrower is the rounding of arithmetic, not an interval


@dataclass(frozen=True, slots=True)
class Shown:
    """A number as a reader sees it, with the ends of its interval, or a deviation, where it has one."""

    value: str
    interval: tuple[str, str] | None = None
    deviation: str | None = None

    @property
    def text(self) -> str:
        """`165 [163, 168]`, `165 ± 3`, or the value alone."""
        return f"{self.value}{self.interval_text}"

    @property
    def interval_text(self) -> str:
        """What stands behind the value: ` [163, 168]`, ` ± 3`, or nothing."""
        if self.deviation is not None:
            return f" ± {self.deviation}"
        return f" [{', '.join(self.interval)}]" if self.interval else ""


def shown(estimate: Estimate, decimals: int | None = None, *, deviates: bool = False) -> Shown:
    """The digits of an estimate that its interval bears, or as many decimals as were asked for.

    Where there is no interval, or one without width, three significant digits are. The ends of one that
    `deviates` are as far from the value, and that distance is shown.
    """
    decimals = _decimals(estimate) if decimals is None else _enough(estimate.value, decimals)
    value = fixed(estimate.value, decimals)
    if estimate.low is None or estimate.high is None:
        return Shown(value)
    if deviates:
        return Shown(value, deviation=fixed(estimate.high - estimate.value, decimals))
    return Shown(value, (fixed(estimate.low, decimals), fixed(estimate.high, decimals)))


def estimated(estimate: Estimate | None) -> str:
    """`165 [163, 168]`, or a dash where nothing was measured."""
    return shown(estimate).text if estimate else NOTHING


def millions(count: int | None, decimals: int = 1) -> str:
    """A count in millions, with so many decimals or two significant digits; or a dash."""
    return NOTHING if count is None else shown(Estimate(count / 1e6), decimals).value


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals; with -1, whole tens."""
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def _enough(value: float, decimals: int) -> int:
    """So many decimals, or as many as two significant digits take."""
    if not 0 < abs(value) < math.inf:
        return decimals
    return max(decimals, 1 - math.floor(math.log10(abs(value))))


def _decimals(estimate: Estimate) -> int:
    if not LEAST_WIDTH < estimate.half_width < math.inf:
        return 0 if estimate.value >= 100 else 1 if estimate.value >= 10 else 2
    width = 2 * estimate.half_width * estimate.value
    return math.ceil(math.log10(LEAST_UNITS / width))
