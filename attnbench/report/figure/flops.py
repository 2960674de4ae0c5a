"""Figure 2: FLOPs of choices and of their branches against resolution, from closed forms."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from attnbench.cases.choice import Choice
from attnbench.records.cost import Point, branch_titles, choices_of, divided, points_of
from attnbench.report.caption import sentence
from attnbench.report.colours import MarkStyle, mark_styles_of
from attnbench.report.figure.axis import set_log_heights
from attnbench.report.figure.end_labels import name_at_the_side, names_inches
from attnbench.report.figure.page import (
    add_note,
    add_panels,
    is_first_of_row,
    new_page,
    plot_inches,
    save,
)
from attnbench.report.figure.print_size import PLAIN, PrintSize, Width
from attnbench.report.figure.style import BRANCH_DASHES, line, styled

PANEL_INCHES = 2.2  # the least width of one
PLOT_INCHES = 1.7
MOST_PANELS_OF_CHOICES = 5
G = 1e9


def save_flops(points: Sequence[Point], folder: Path, wanted: PrintSize = PLAIN) -> list[Path]:
    """Draw `flops.png` and `flops.pdf` and return them."""
    return save(flops_page(points, wanted), folder / "flops", wanted)


def flops_page(points: Sequence[Point], wanted: PrintSize = PLAIN) -> Figure:
    """A panel a choice, which compares its branches, and the last one for the totals of all choices.

    Where that would be too many panels, it is a panel a branch instead, with a line a choice.
    """
    panels, names = _panels(points), list(short_names(choices_of(points)).values())
    width = wanted.inches(Width.column if len(panels) == 1 else Width.page)
    height = max(names_inches(names), plot_inches(len(panels), width, PANEL_INCHES, PLOT_INCHES))
    geometry = points[0].geometry
    with styled():
        page = new_page(width)
        grid = add_panels(page, len(panels), PANEL_INCHES, height, shared=True)
        _set_scales(grid[0], points)
        for axes, (title, draw) in zip(grid, panels, strict=True):
            axes.set_title(title, loc="left")
            axes.set_xlabel(f"Resolution ({geometry.side_words})")
            axes.set_ylabel("FLOPs (G multiply-adds)" if is_first_of_row(axes) else "")
            axes.tick_params(labelbottom=True)
            axes.grid()
            draw(axes)
        setting = f"{sentence(geometry.layer_words)} " if geometry.layer_words else ""
        add_note(page, f"{setting}Closed forms: nothing was measured.", wanted)
    return page


def _panels(points: Sequence[Point]) -> list[tuple[str, Callable[[Axes], None]]]:
    """The title of each panel, and what draws it."""
    parts, choices = divided(points), choices_of(points)
    names, common = short_names(choices), common_name(choices)
    over = f"{common}: " if common else ""
    total = (f"{over}total" if over else "Total", partial(draw_choices, points=points))
    if len(parts) > MOST_PANELS_OF_CHOICES:
        branches = branch_titles(points)
        return [*((f"{over}{it}", partial(draw_choices, points=points, branch=it)) for it in branches), total]
    styles = mark_styles_of(choice.label for choice in choices)
    drawn = {
        over + names[each.label]: partial(
            draw_branches, points=points_of(each, points), style=styles[each.label]
        )
        for each in parts
    }
    return [*drawn.items(), total]


def draw_branches(axes: Axes, points: Sequence[Point], style: MarkStyle) -> None:
    """One choice in its colour: a line a branch."""
    for title, dash in zip(branch_titles(points), BRANCH_DASHES, strict=False):
        how = {**line(style), "linestyle": dash}
        axes.plot(_sides(points), [_cost(point, title) for point in points], label=title, **how)
    axes.legend(loc="upper left", handlelength=3.5)


def draw_choices(axes: Axes, points: Sequence[Point], branch: str | None = None) -> None:
    """A line a choice, named at its end: of its total FLOPs, or of those of one branch."""
    choices = choices_of(points)
    names, styles = short_names(choices), mark_styles_of(choice.label for choice in choices)
    ends, colours = [], {}
    for choice in choices:
        mine, style = points_of(choice, points), styles[choice.label]
        costs = [_cost(point, branch) for point in mine]
        drawn = [point for point in zip(_sides(mine), costs, strict=True) if not math.isnan(point[1])]
        if drawn:
            axes.plot(_sides(mine), costs, **line(style))
            ends.append((names[choice.label], drawn[-1]))
            colours[names[choice.label]] = style.colour
    name_at_the_side(axes, ends, colours)


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
    set_log_heights(axes, min(drawn), max(drawn))
    axes.set_ylim(min(drawn) / 1.3, max(drawn) * 1.3)
    axes.set_xscale("log", base=2)
    doublings = int(math.log2(max(sides) / min(sides)))
    axes.set_xticks([min(sides) * 2**power for power in range(doublings + 1)])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    axes.xaxis.set_minor_locator(NullLocator())
