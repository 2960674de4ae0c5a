"""What choices cost, and whether they keep what every mechanism must: values, found out by `measure`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attnbench.cases.choice import Choice, unique
from attnbench.mechanism import Geometry
from attnbench.paper import Printed


@dataclass(frozen=True, slots=True)
class BranchCost:
    """A branch's share of a layer: multiply-adds by its closed form, and the heads that it makes.

    Of a model it is the share of the layers in its slots, which have no number of heads in common.
    """

    title: str
    macs: int
    heads: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One choice with its cost; `refusal` says why there is none.

    `published` is its row of the paper's tables, if it has one and the geometry is theirs. Where there are
    operators `uncounted`, `macs` is a lower bound; where the work depends on the image, `macs_of_another`
    are those of a second one.
    """

    choice: Choice
    params: int | None
    macs: int | None
    branches: tuple[BranchCost, ...]
    published: Printed | None
    uncounted: tuple[str, ...] = ()
    macs_of_another: int | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """What one choice costs on one map by its closed form; `refusal` says why that has no meaning there."""

    choice: Choice
    geometry: Geometry
    macs: int | None
    branches: tuple[BranchCost, ...]
    refusal: str | None = None

    def branch(self, title: str) -> int:
        """The multiply-adds of a branch; none where the choice leaves it out."""
        return next((branch.macs for branch in self.branches if branch.title == title), 0)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One question put to a mechanism at one geometry: `passed` with None where it refused the geometry.

    `detail` says why it was not passed; of one that was, what its author should know.
    """

    question: str
    geometry: Geometry
    passed: bool | None
    detail: str = ""


def branch_titles(rows: Iterable[Entry | Point]) -> list[str]:
    """The branches that any of the rows has, in their order."""
    return list(dict.fromkeys(branch.title for row in rows for branch in row.branches))


def choices_of(points: Iterable[Point]) -> list[Choice]:
    """The choices behind points, each once."""
    return unique(point.choice for point in points)


def points_of(choice: Choice, points: Iterable[Point]) -> list[Point]:
    """The points of one choice, from the smallest map to the largest."""
    mine = [point for point in points if point.choice.label == choice.label]
    return sorted(mine, key=lambda point: point.geometry.tokens)


def divided(points: Sequence[Point]) -> list[Choice]:
    """The choices whose work is shared by two branches or more."""
    shared = (point.choice for point in points if sum(branch.macs > 0 for branch in point.branches) > 1)
    return unique(shared)
