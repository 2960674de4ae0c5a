"""Crossovers: from which size on one mechanism is faster than another."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

from attnbench.analysis.block import seconds_of
from attnbench.analysis.rows import Measured, Row, believed, family, grouped, measured
from attnbench.cases.sweep import BASELINE
from attnbench.records.rounds import Values, ratios
from attnbench.statistics import Estimate, crossings

FEW = 6  # mechanisms, whose crossovers a reader can take in all together
CENTRAL = ("hilo", BASELINE)


@dataclass(frozen=True, slots=True)
class Crossover:
    """`faster` is faster than `slower` from `side` tokens a side on, and slower below.

    Both are rows of one device, batch, mode and kernel, at any one size.
    """

    faster: Measured
    slower: Measured
    side: Estimate


def several_sizes(table: Sequence[Row]) -> bool:
    """Whether there is anything for mechanisms to change order between."""
    return any(len({row.side for row in together}) > 1 for together in grouped(table, family))


def crossovers(table: Sequence[Row]) -> list[Crossover]:
    """Every change of order between two mechanisms that were timed in the same rounds at several sizes.

    Sorted by size within a device, batch and mode; `statistics.crossings` says when a change is reported.
    """
    ordered = []
    for together in grouped(believed(table), lambda row: (family(row), row.record.case.workload.mode)):
        pairs = combinations(grouped(together, lambda row: row.record.case.label), 2)
        mine = [crossover for pair in pairs for crossover in _crossovers(*pair)]
        ordered += sorted(mine, key=lambda crossover: crossover.side.value)
    return ordered


def foremost(candidates: Sequence[Crossover], table: Sequence[Row]) -> list[Crossover]:
    """The crossovers to show first: of more than a few mechanisms, those with HiLo or the baseline."""
    if len({row.record.case.label for row in table}) <= FEW:
        return list(candidates)
    central = {*CENTRAL, *(row.timing.baseline for row in measured(table) if row.timing.baseline)}
    return [
        each for each in candidates if _is_one_of(each.faster, central) or _is_one_of(each.slower, central)
    ]


def _is_one_of(row: Row, names: Collection[str]) -> bool:
    return row.record.case.label in names or row.record.case.mechanism in names


def _crossovers(ours: Sequence[Measured], theirs: Sequence[Measured]) -> list[Crossover]:
    by_side = {
        one.side: speeds
        for one in ours
        for other in theirs
        if one.record.block == other.record.block and len((speeds := _speeds(one, other))[1])
    }
    sides = sorted(by_side)
    if len(sides) < 2:
        return []
    return [
        Crossover(*((ours[0], theirs[0]) if crossing.rises else (theirs[0], ours[0])), crossing.size)
        for crossing in crossings(sides, [by_side[side] for side in sides])
    ]


def _speeds(ours: Measured, theirs: Measured) -> Values:
    """How many times as fast ours is in each round that has both."""
    return ratios(seconds_of(theirs.record), seconds_of(ours.record))
