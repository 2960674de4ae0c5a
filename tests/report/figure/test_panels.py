"""Panels of several devices or runs beside each other, read back."""

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from numpy.typing import NDArray

from attnbench.analysis.rows import Measured, measured, rows
from attnbench.report.colours import mark_styles_of
from attnbench.report.figure.panels import Panel, by_device, drawings_of
from attnbench.report.figure.print_size import PLAIN, PrintSize
from tests.fakes import block

SPREAD = [0.9, 1.0, 1.1, 1.0, 0.95, 1.05]
STYLES = mark_styles_of(["msa", "hilo", "van"])


def timed(times_s: dict[str, float], **changes: Any) -> list[Measured]:
    return measured(rows(block({label: [s * x for x in SPREAD] for label, s in times_s.items()}, **changes)))


@pytest.fixture
def panels() -> list[Panel]:
    """VAN is the fastest in the second place, and XCA was measured there alone."""
    there = timed({"msa": 0.4, "hilo": 0.2, "van": 0.1, "xca": 0.3}, device="cuda")
    return [Panel("here", timed({"msa": 0.4, "hilo": 0.2, "van": 0.3})), Panel("there", there)]


def drawn(panels: list[Panel], wanted: PrintSize = PLAIN) -> dict[str, Figure]:
    styles = mark_styles_of(row.record.case.label for panel in panels for row in panel.rows)
    return {drawing.name: drawing.page() for drawing in drawings_of(panels, styles, wanted, "-x")}


def names(axes: Axes) -> list[str]:
    """What stands left of a panel, from the bottom up."""
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    ticks = axes.yaxis.get_major_ticks()
    return [tick.label1.get_text() for tick in ticks if tick.label1.get_visible()]


def points(axes: Axes) -> NDArray[np.float64]:
    """Our ratios, and at which height each stands."""
    return np.asarray(axes.lines[0].get_xydata(), dtype=float)


def bars(axes: Axes) -> dict[float, float]:
    """The lengths of bars by where their middles are."""
    (found,) = (each for each in axes.containers if isinstance(each, BarContainer))
    return {round(bar.get_y() + bar.get_height() / 2, 6): float(bar.get_width()) for bar in found}


def test_all_panels_have_the_first_ones_order_and_its_names_stand_once(panels: list[Panel]):
    here, there = drawn(panels)["throughput-x"].axes
    assert names(here) == ["XCA", "MSA", "VAN", "HILO"]
    assert names(there) == []
    assert bars(here) == pytest.approx({1: 160, 2: 64 / 0.3, 3: 320})
    assert bars(there) == pytest.approx({0: 64 / 0.3, 1: 160, 2: 640, 3: 320})


def test_each_panel_has_its_title_and_its_own_scale_of_throughputs(panels: list[Panel]):
    page = drawn(panels)["throughput-x"]
    assert [axes.get_title(loc="left") for axes in page.axes] == ["here", "there"]
    assert page.axes[0].get_xlim() != page.axes[1].get_xlim()
    assert page.get_figwidth() == 7.16


def test_each_ratio_is_within_its_own_panel_and_all_are_on_one_scale(panels: list[Panel]):
    here, there = drawn(panels)["ratios-x"].axes
    assert names(here) == ["XCA", "VAN", "HILO"]
    np.testing.assert_allclose(points(here), [[4 / 3, 1.0], [2.0, 2.0]])
    np.testing.assert_allclose(points(there), [[4 / 3, 0.0], [4.0, 1.0], [2.0, 2.0]])
    assert here.get_xlim() == there.get_xlim()


def test_a_mechanism_has_one_colour_in_all_panels(panels: list[Panel]):
    page = drawn(panels)["throughput-x"]
    colours = [[bar.get_facecolor() for bar in axes.patches][-1] for axes in page.axes]  # HiLo's, on top
    assert colours[0] == colours[1]


def test_a_figure_in_one_column_has_its_panels_beside_each_other_too(panels: list[Panel]):
    here, there = drawn(panels, PrintSize(3.5))["throughput-x"].axes
    assert here.get_position().y0 == pytest.approx(there.get_position().y0)
    assert here.get_xlabel() == there.get_xlabel() == "Throughput (images/s)"


def test_a_front_has_the_titles_of_its_panels(panels: list[Panel]):
    titles = [axes.get_title(loc="left").partition(",")[0] for axes in drawn(panels)["front-x"].axes]
    assert titles == ["here", "here", "there", "there"]


def test_one_device_alone_needs_no_title():
    alone = timed({"msa": 0.4, "hilo": 0.2})
    both = [*alone, *timed({"msa": 0.1}, device="cuda")]
    assert [panel.title for panel in by_device(alone)] == [""]
    assert [(panel.title, len(panel.rows)) for panel in by_device(both)] == [("cpu", 2), ("cuda", 1)]
