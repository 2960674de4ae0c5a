"""What Figure 2 draws, read back as numbers."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench import Geometry
from attnbench.cases.registry import Registry, discover
from attnbench.measuring.catalogue import points
from attnbench.records.cost import Point
from attnbench.report.colours import MarkStyle, mark_styles_of
from attnbench.report.figure.flops import draw_branches, draw_choices, flops_page
from attnbench.report.figure.style import LINE_INCHES

SIDES = [14, 28, 56]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


def found(registry: Registry, *texts: str) -> list[Point]:
    choices = [choice for text in texts for choice in registry.choose_all(text)]
    return points(choices, [Geometry(768, 12, side, side) for side in SIDES])


def lines(axes: Axes) -> dict[str, list[float]]:
    return {str(line.get_label()): [float(y) for y in np.asarray(line.get_ydata())] for line in axes.lines}


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.axison]


def names(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_panel_of_a_choice_has_the_flops_of_its_branches(registry: Registry, axes: Axes):
    mine = found(registry, "hilo:alpha=0.5")
    draw_branches(axes, mine, MarkStyle("#123456", "*", "-", "full"))
    assert lines(axes) == {
        title: [point.branch(title) / 1e9 for point in mine] for title in ("Hi-Fi", "Lo-Fi")
    }
    assert list(np.asarray(axes.lines[0].get_xdata())) == SIDES


def test_totals_are_named_at_the_lines_ends_in_their_order(registry: Registry, axes: Axes):
    axes.set_yscale("log")
    draw_choices(axes, found(registry, "sra", "msa", "xca"))
    assert names(axes) == ["XCA", "SRA", "MSA"]
    ends = [np.asarray(line.get_ydata())[-1] for line in axes.lines]
    assert ends == pytest.approx([10.253, 22.504, 7.707], rel=1e-3)
    heights = [text.get_position()[1] for text in axes.texts]
    assert np.diff(heights).min() * axes.get_window_extent().height / axes.figure.dpi >= LINE_INCHES - 1e-9


def test_many_names_stay_inside_the_axis(registry: Registry, axes: Axes):
    axes.set_yscale("log")
    draw_choices(axes, found(registry, "hilo:alpha=0..1/0.1"))
    heights = [text.get_position()[1] for text in axes.texts]
    assert len(heights) == 11
    assert max(heights) <= 1
    assert np.diff(heights).min() * axes.get_window_extent().height / axes.figure.dpi >= LINE_INCHES - 1e-9


def test_a_map_without_a_cost_leaves_a_gap(registry: Registry, axes: Axes):
    first, second, third = found(registry, "msa")
    draw_choices(axes, [first, replace(second, macs=None, refusal="no"), third])
    assert np.isnan(axes.lines[0].get_ydata()).tolist() == [False, True, False]
    assert names(axes) == ["MSA"]


def test_figure_2_has_a_panel_a_window_and_one_of_totals(registry: Registry):
    figure = flops_page(found(registry, "hilo:alpha=0.5,window=2,4,7"))
    assert titles(figure) == [
        "HiLo (alpha=0.5): window=2", "HiLo (alpha=0.5): window=4", "HiLo (alpha=0.5): window=7",
        "HiLo (alpha=0.5): total",
    ]  # fmt: skip
    assert sorted(names(figure.axes[3])) == ["window=2", "window=4", "window=7"]
    assert {(axes.get_xscale(), axes.get_yscale(), axes.get_ylim()) for axes in figure.axes} == {
        ("log", "log", figure.axes[0].get_ylim())
    }
    assert list(figure.axes[3].get_xticks()) == SIDES


def test_ticks_double_from_the_smallest_map_and_end_before_the_largest(registry: Registry):
    maps = [Geometry(768, 12, side, side) for side in (14, 42)]
    (axes,) = flops_page(points(list(registry.choose_all("msa")), maps)).axes
    assert list(axes.get_xticks()) == [14, 28]


def test_more_choices_than_panels_share_a_panel_a_branch(registry: Registry):
    figure = flops_page(found(registry, "hilo:alpha=0..1/0.1"))
    assert titles(figure) == ["HiLo: Hi-Fi", "HiLo: Lo-Fi", "HiLo: total"]
    assert [len(axes.lines) for axes in figure.axes] == [10, 10, 11]
    assert "alpha=1.0" not in names(figure.axes[0])
    assert "alpha=0.0" not in names(figure.axes[1])


def test_mechanisms_without_branches_need_one_panel(registry: Registry):
    figure = flops_page(found(registry, "msa", "hilo:alpha=0", "hilo:alpha=1"))
    assert titles(figure) == ["Total"]
    assert sorted(names(figure.axes[0])) == ["HiLo (alpha=0.0)", "HiLo (alpha=1.0)", "MSA"]


def test_a_choice_has_its_ink_in_its_own_panel_and_in_that_of_totals(registry: Registry):
    choices = registry.choose_all("hilo:alpha=0.5,window=2,4,7")
    styles = [style.colour for style in mark_styles_of(choice.label for choice in choices).values()]
    *own, total = flops_page(found(registry, "hilo:alpha=0.5,window=2,4,7")).axes
    assert [{line.get_color() for line in axes.lines} for axes in own] == [{style} for style in styles]
    assert [line.get_color() for line in total.lines] == styles
    assert [line.get_linestyle() for line in own[0].lines] == ["-.", ":"]
