"""Figure 2: FLOPs of choices and of their branches against resolution, from closed forms."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from attnbench.catalogue import Point, branch_titles, choices_of, divided, points_of
from attnbench.registry import Choice
from attnbench.report.figure.style import PANEL_INCHES, STYLE, colour, name_at_the_side, save

PANEL_INCHES_BY_COLUMNS = {1: PANEL_INCHES, 2: (3.5, 2.9), 3: (2.9, 2.7)}  # rows about as wide as a page
NARROW = 4.0  # a log axis over less than this shows too few of 1, 2 and 5
MOST_PANELS_OF_CHOICES = 5
BRANCH_LINES = (("#b2182b", "-"), ("#0b7a75", "--"), ("#5e3c99", "-."), ("#4d4d4d", ":"))
DARKEST, LIGHTEST = 0.5, 0.6  # how far shades of a colour go towards black and towards white
G = 1e9


def save_flops(points: Sequence[Point], folder: Path) -> list[Path]:
    """Draw `flops.png` and `flops.pdf` and return them.

    A panel a choice compares its branches, and the last one the totals of all choices. Where that would be
    too many panels, it is a panel a branch instead, with a line a choice.
    """
    panels = _panels(points)
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    width, height = PANEL_INCHES_BY_COLUMNS[columns]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        grid = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
        _set_scales(grid[0], points)
        for number, (axes, (title, draw)) in enumerate(zip(grid, panels, strict=False)):
            draw(axes)
            axes.set_title(title, fontsize=9)
            is_lowest, is_first = number + columns >= len(panels), number % columns == 0
            axes.tick_params(labelbottom=is_lowest, labelleft=is_first)
            axes.set_xlabel("Resolution (tokens a side)" if is_lowest else "")
            axes.set_ylabel("FLOPs (G multiply-adds)" if is_first else "")
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        return save(figure, folder / "flops")


def _panels(points: Sequence[Point]) -> list[tuple[str, Callable[[Axes], None]]]:
    """The title of each panel, and what draws it."""
    parts, choices = divided(points), choices_of(points)
    names, common = short_names(choices), common_name(choices)
    over = f"{common}: " if common else ""
    total = (f"{over}total" if over else "Total", partial(draw_choices, points=points))
    if len(parts) > MOST_PANELS_OF_CHOICES:
        branches = branch_titles(points)
        return [*((f"{over}{it}", partial(draw_choices, points=points, branch=it)) for it in branches), total]
    mine = {choice.label: points_of(choice, points) for choice in parts}
    return [*((over + names[label], partial(draw_branches, points=mine[label])) for label in mine), total]


def draw_branches(axes: Axes, points: Sequence[Point]) -> None:
    """One choice: a line a branch."""
    for title, (ink, dashes) in zip(branch_titles(points), BRANCH_LINES, strict=False):
        costs = [_cost(point, title) for point in points]
        axes.plot(_sides(points), costs, dashes, color=ink, label=title, marker="o", markersize=2.5)
    axes.legend(loc="upper left", frameon=False, fontsize=8, handlelength=3)


def draw_choices(axes: Axes, points: Sequence[Point], branch: str | None = None) -> None:
    """A line a choice, named at its end: of its total FLOPs, or of those of one branch."""
    choices = choices_of(points)
    names, inks = short_names(choices), shades(choices)
    ends = []
    for choice in choices:
        mine = points_of(choice, points)
        costs = [_cost(point, branch) for point in mine]
        drawn = [place for place in zip(_sides(mine), costs, strict=True) if not math.isnan(place[1])]
        if drawn:
            axes.plot(_sides(mine), costs, color=inks[choice.label], marker="o", markersize=2.5)
            ends.append((names[choice.label], drawn[-1]))
    name_at_the_side(axes, ends)


def shades(choices: Sequence[Choice]) -> dict[str, str]:
    """Each choice's colour: its mechanism's own, from dark to light where there are several of it."""
    names = list(dict.fromkeys(choice.mechanism.name for choice in choices))
    found = {}
    for name in names:
        mine = [choice.label for choice in choices if choice.mechanism.name == name]
        steps = [place / max(1, len(mine) - 1) * (DARKEST + LIGHTEST) - DARKEST for place in range(len(mine))]
        for label, step in zip(mine, steps if len(mine) > 1 else [0.0], strict=True):
            found[label] = _towards(colour(name, names), step)
    return found


def short_names(choices: Sequence[Choice]) -> dict[str, str]:
    """Each choice's name: the settings that differ where all are of one mechanism, or its title."""
    varying = _varying(choices)
    return {
        choice.label: ", ".join(f"{key}={choice.settings[key]}" for key in varying) or choice.title
        for choice in choices
    }


def common_name(choices: Sequence[Choice]) -> str:
    """The mechanism that choices differ in the settings of, with those that do not differ; or nothing."""
    varying, first = _varying(choices), choices[0]
    if not varying:
        return ""
    defaults = first.mechanism.settings
    fixed = {key: value for key, value in first.settings.items() if key not in varying}
    changed = ", ".join(f"{key}={value}" for key, value in fixed.items() if value != defaults[key])
    return f"{first.mechanism.title} ({changed})" if changed else first.mechanism.title


def _varying(choices: Sequence[Choice]) -> list[str]:
    """The settings that differ among choices of one mechanism."""
    if len({choice.mechanism.name for choice in choices}) > 1:
        return []
    return [key for key in choices[0].settings if len({choice.settings[key] for choice in choices}) > 1]


def _cost(point: Point, branch: str | None) -> float:
    """G multiply-adds of a point or of one of its branches; NaN, which leaves a gap, where there are none."""
    macs = point.macs if branch is None else point.branch(branch)
    return macs / G if macs else math.nan


def _sides(points: Sequence[Point]) -> list[float]:
    """The side of a square map of as many tokens."""
    return [math.sqrt(point.geometry.tokens) for point in points]


def _set_scales(axes: Axes, points: Sequence[Point]) -> None:
    """Log axes that hold all panels' lines, with ticks that double from the smallest map on."""
    costs = [_cost(point, branch) for point in points for branch in (None, *branch_titles([point]))]
    drawn = [cost for cost in costs if not math.isnan(cost)] or [1.0]
    sides = _sides(points)
    axes.set_yscale("log")
    axes.set_ylim(min(drawn) / 1.3, max(drawn) * 1.3)
    if max(drawn) / min(drawn) < NARROW:
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_minor_locator(NullLocator())
    elif max(drawn) / min(drawn) < NARROW**3:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xscale("log", base=2)
    doublings = int(math.log2(max(sides) / min(sides)))
    axes.set_xticks([min(sides) * 2**power for power in range(doublings + 1)])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    axes.xaxis.set_minor_locator(NullLocator())


def _towards(ink: str, step: float) -> str:
    """A colour moved by this share towards white, or towards black where it is negative."""
    end = 1.0 if step > 0 else 0.0
    red, green, blue = (part + abs(step) * (end - part) for part in to_rgb(ink))
    return to_hex((red, green, blue))
