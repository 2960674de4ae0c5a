"""Names in a column beside a panel, each joined to what it names."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from statistics import fmean
from typing import Any, cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.report.figure.style import LINE_INCHES, PALE, SMALL, brief, lines_of

NAME_PLACE = 1.07  # of the axis' width, where their column stands
TO_THE_EDGE: dict[str, Any] = {"relpos": (0, 0.5), "patchA": None, "shrinkA": 2}  # of a name, from its point


def name_at_the_side(
    axes: Axes, ends: Sequence[tuple[str, tuple[float, float]]], colours: Mapping[str, str] | None = None
) -> None:
    """Names in a column right of the axes, in the order of their points, so that none touches another.

    Thin lines lead to them, grey or in the colour of each name. The axes must have their ticks and labels,
    because these decide how high they are.
    """
    height_inches = _height_inches(axes)
    to_axes = axes.transData - axes.transAxes
    ordered = sorted(ends, key=lambda item: item[1][1])
    heights = _apart(
        [float(to_axes.transform(end)[1]) for _, end in ordered],
        [names_inches([name]) / height_inches for name, _ in ordered],
    )
    for (name, end), height in zip(ordered, heights, strict=True):
        colour = (colours or {}).get(name, PALE)
        axes.annotate(
            brief(name),
            end,
            (NAME_PLACE, height),
            textcoords="axes fraction",
            va="center",
            fontsize=SMALL,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, **TO_THE_EDGE},
            annotation_clip=False,
        )


def names_inches(titles: Iterable[str]) -> float:
    """The height that a column of names needs."""
    return LINE_INCHES * sum(map(lines_of, titles))


def _height_inches(axes: Axes) -> float:
    """How high axes are on their page as it stands, which its layout decides."""
    page = cast(Figure, axes.get_figure(root=True))
    page.draw_without_rendering()
    return axes.get_window_extent().height / page.dpi


def _apart(heights: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Sorted heights of names, moved as little as keeps them from touching, and all on the axis.

    Names that would touch move together, and stand around the mean of their points.
    """
    steps = [(lower + upper) / 2 for lower, upper in pairwise(sizes)]
    offsets = list(accumulate(steps, initial=0.0))
    levels = _rising([height - offset for height, offset in zip(heights, offsets, strict=True)])
    room = 1 - offsets[-1]
    return [min(max(level, 0.0), room) + offset for level, offset in zip(levels, offsets, strict=True)]


def _rising(values: Sequence[float]) -> list[float]:
    """The nearest values none of which is below the one before: means where the order was another."""
    pools: list[list[float]] = []
    for value in values:
        pools.append([value])
        while len(pools) > 1 and fmean(pools[-1]) < fmean(pools[-2]):
            pools[-2:] = [pools[-2] + pools[-1]]
    return [fmean(pool) for pool in pools for _ in pool]
