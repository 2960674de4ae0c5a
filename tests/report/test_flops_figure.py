"""What Figure 2 draws, read back as numbers."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench import Geometry
from attnbench.catalogue import Point, points
from attnbench.registry import Registry, discover
from attnbench.report.figure import flops
from attnbench.report.figure.flops import draw_branches, draw_choices, save_flops, shades
from attnbench.report.figure.style import NAME_GAP, colour

SIDES = [14, 28, 56]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would be saved."""
    figures: list[Figure] = []
    monkeypatch.setattr(flops, "save", lambda figure, stem: figures.append(figure))
    return figures


def found(registry: Registry, *texts: str) -> list[Point]:
    choices = [choice for text in texts for choice in registry.choose_all(text)]
    return points(choices, [Geometry(768, 12, side, side) for side in SIDES])


def lines(axes: Axes) -> dict[str, list[float]]:
    return {str(line.get_label()): [float(y) for y in np.asarray(line.get_ydata())] for line in axes.lines}


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.axison]


def names(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_panel_of_a_choice_has_the_flops_of_its_branches(registry: Registry, axes: Axes):
    mine = found(registry, "hilo:alpha=0.5")
    draw_branches(axes, mine)
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
    assert np.diff(heights).min() >= NAME_GAP - 1e-9


def test_many_names_stay_inside_the_axis(registry: Registry, axes: Axes):
    axes.set_yscale("log")
    draw_choices(axes, found(registry, "hilo:alpha=0..1/0.1"))
    heights = [text.get_position()[1] for text in axes.texts]
    assert len(heights) == 11
    assert max(heights) <= 1
    assert np.diff(heights).min() >= NAME_GAP - 1e-9


def test_a_map_without_a_cost_leaves_a_gap(registry: Registry, axes: Axes):
    first, second, third = found(registry, "msa")
    draw_choices(axes, [first, replace(second, macs=None, refusal="no"), third])
    assert np.isnan(axes.lines[0].get_ydata()).tolist() == [False, True, False]
    assert names(axes) == ["MSA"]


def test_figure_2_has_a_panel_a_window_and_one_of_totals(registry: Registry, drawn: list[Figure]):
    save_flops(found(registry, "hilo:alpha=0.5,window=2,4,7"), Path())
    (figure,) = drawn
    assert titles(figure) == [
        "HiLo (alpha=0.5): window=2", "HiLo (alpha=0.5): window=4", "HiLo (alpha=0.5): window=7",
        "HiLo (alpha=0.5): total",
    ]  # fmt: skip
    assert sorted(names(figure.axes[3])) == ["window=2", "window=4", "window=7"]
    assert {(axes.get_xscale(), axes.get_yscale(), axes.get_ylim()) for axes in figure.axes} == {
        ("log", "log", figure.axes[0].get_ylim())
    }
    assert list(figure.axes[3].get_xticks()) == SIDES


def test_more_choices_than_panels_share_a_panel_a_branch(registry: Registry, drawn: list[Figure]):
    save_flops(found(registry, "hilo:alpha=0..1/0.1"), Path())
    (figure,) = drawn
    assert titles(figure) == ["HiLo: Hi-Fi", "HiLo: Lo-Fi", "HiLo: total"]
    assert [len(axes.lines) for axes in figure.axes] == [10, 10, 11]
    assert "alpha=1.0" not in names(figure.axes[0])
    assert "alpha=0.0" not in names(figure.axes[1])


def test_mechanisms_without_branches_need_one_panel(registry: Registry, drawn: list[Figure]):
    save_flops(found(registry, "msa", "hilo:alpha=0", "hilo:alpha=1"), Path())
    assert titles(drawn[0]) == ["Total"]
    assert sorted(names(drawn[0].axes[0])) == ["HiLo (alpha=0.0)", "HiLo (alpha=1.0)", "MSA"]


def test_settings_of_a_mechanism_are_shades_of_its_colour(registry: Registry):
    choices = [registry.choose("msa"), *registry.choose_all("hilo:window=2,4,7")]
    found = shades(choices)
    assert found["msa"] == colour("msa", ["msa"])
    dark, middle, light = (sum(mpl.colors.to_rgb(found[choice.label])) for choice in choices[1:])
    assert dark < middle < light
