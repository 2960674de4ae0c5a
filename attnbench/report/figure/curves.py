"""What a figure over sizes draws, as numbers: a curve a mechanism, and crosses where it did not fit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attnbench.analysis.rows import Row, grouped
from attnbench.report.figure.quantities import ValueOf
from attnbench.statistics import Estimate

NEAR = 1.15  # heights whose ratio is less touch


@dataclass(frozen=True, slots=True)
class Misfit:
    """A size at which a mechanism ran out of memory, and the need that was predicted, if one was."""

    side: float
    need: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """What one mechanism comes to at each size, and where it did not fit."""

    label: str
    title: str
    points: Mapping[float, Estimate]
    misfits: Sequence[Misfit]

    @property
    def heights(self) -> list[float]:
        """All its numbers, needs that were predicted included."""
        needs = [misfit.need for misfit in self.misfits if misfit.need is not None]
        return [*(estimate.value for estimate in self.points.values()), *needs]


@dataclass(frozen=True, slots=True)
class Crosses:
    """Where the crosses of a curve's misfits stand."""

    curve: Curve
    points: Sequence[tuple[float, float]]


def curves_of(rows: Sequence[Row], quantity: ValueOf) -> list[Curve]:
    """A curve for each mechanism that has a number or ran out of memory, its sizes in growing order."""
    curves = []
    for mine in grouped(rows, lambda row: row.record.case.label):
        by_side = {row.side: (row, quantity(row)) for row in sorted(mine, key=lambda row: row.side)}
        points = {side: estimate for side, (_, estimate) in by_side.items() if estimate}
        needs = {
            side: row.record.predicted_bytes
            for side, (row, _) in by_side.items()
            if side not in points and row.record.outcome == "out_of_memory"
        }
        misfits = [Misfit(side, None if need is None else need / 2**20) for side, need in needs.items()]
        if points or misfits:
            curves.append(Curve(mine[0].record.case.label, mine[0].record.case.title, points, misfits))
    return curves


def crosses_of(curves: Sequence[Curve], edge: float, nudge: float) -> list[Crosses]:
    """Where crosses stand: at the need, or else at the edge; those that meet beside each other.

    These are in the order of the last numbers before them, so that lines to them hardly cross.
    """
    curves = sorted(curves, key=lambda curve: list(curve.points.values())[-1].value if curve.points else 0.0)
    points: dict[str, list[tuple[float, float]]] = {curve.label: [] for curve in curves}
    for side in sorted({misfit.side for curve in curves for misfit in curve.misfits}):
        heights = {
            curve.label: misfit.need if misfit.need is not None else edge
            for curve in curves
            for misfit in curve.misfits
            if misfit.side == side
        }
        for together in _clusters(heights):
            for number, label in enumerate(together):
                aside = math.exp(nudge * (number - (len(together) - 1) / 2))
                points[label].append((side * aside, heights[label]))
    return [Crosses(curve, points[curve.label]) for curve in curves if curve.misfits]


def _clusters(heights: Mapping[str, float]) -> list[list[str]]:
    """Names whose heights are so near each other that their crosses would hide one another."""
    clusters: list[list[str]] = []
    for label in sorted(heights, key=lambda name: heights[name]):
        if clusters and heights[label] < NEAR * heights[clusters[-1][-1]]:
            clusters[-1].append(label)
        else:
            clusters.append([label])
    return clusters
