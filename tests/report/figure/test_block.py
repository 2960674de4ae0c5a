"""What figures draw, read back as numbers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from numpy.typing import NDArray

from attnbench.analysis.rows import Measured, measured, rows
from attnbench.cases.case import Role
from attnbench.report.colours import MarkStyle, mark_styles_of
from attnbench.report.figure.block import draw_flops_against_time, draw_ratios, draw_throughput
from attnbench.report.figure.run import save_figures, setting_pages
from attnbench.report.figure.style import LINE_INCHES
from tests.fakes import block, changed, record
from tests.report.figure.pages import figures

SPREAD = [0.9, 1.0, 1.1, 1.0, 0.95, 1.05]
INKS = mark_styles_of(["msa", "hilo", "mine", "van", "sra"])


def numbers(drawn: Any) -> NDArray[np.float64]:
    """What an axis was given, as numbers."""
    return np.asarray(drawn, dtype=float)


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


@pytest.fixture
def table() -> list[Measured]:
    times = {"msa": 0.4, "hilo": 0.2, "mine": 0.8}
    return measured(rows(block({label: [s * x for x in SPREAD] for label, s in times.items()})))


def test_bars_are_sorted_start_at_zero_and_carry_their_intervals(axes: Axes, table: list[Measured]):
    draw_throughput(axes, table, INKS)
    (bars,) = (container for container in axes.containers if isinstance(container, BarContainer))
    assert [bar.get_width() for bar in bars] == pytest.approx([80, 160, 320])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["MINE", "MSA", "HILO"]
    assert axes.get_xlim()[0] == 0
    assert [text.get_text() for text in axes.texts] == ["80", "160", "320"]
    beside = [text.xy[0] for text in axes.texts if isinstance(text, Annotation)]
    assert beside == [table[place].timing.throughput.high for place in (2, 0, 1)]
    assert bars.errorbar is not None
    ends = bars.errorbar.lines[2][0].get_segments()
    throughput = table[1].timing.throughput
    np.testing.assert_allclose(ends[2][:, 0], numbers([throughput.low, throughput.high]))


def test_ratios_stand_beside_the_published_ones(axes: Axes, table: list[Measured]):
    draw_ratios(axes, table)
    ours, theirs = axes.lines[0], next(line for line in axes.lines if line.get_marker() == "D")
    np.testing.assert_allclose(numbers(ours.get_xdata()), [0.5, 2.0])
    np.testing.assert_allclose(numbers(theirs.get_xdata()), [1029 / 505])
    np.testing.assert_array_equal(numbers(theirs.get_ydata()), [1])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["MINE", "HILO"]
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "Speed relative to MSA (right is faster)"


def test_ratios_to_another_baseline_stand_beside_the_papers_to_that(axes: Axes, table: list[Measured]):
    draw_ratios(axes, measured(rows([row.record for row in table], "hilo")))
    theirs = next(line for line in axes.lines if line.get_marker() == "D")
    np.testing.assert_allclose(numbers(axes.lines[0].get_xdata()), [0.25, 0.5])
    np.testing.assert_allclose(numbers(theirs.get_xdata()), [505 / 1029])
    assert axes.get_xlabel() == "Speed relative to HILO (right is faster)"


def test_a_long_baseline_is_named_by_its_title_on_several_lines(axes: Axes):
    shifted, _, twin = block(
        {"msa": [1.0] * 6, "hilo": [0.5] * 6}, title="Shifted Window (window=8, mask=-1000)"
    )
    records = [shifted, record("hilo", [0.5] * 6), twin]
    draw_ratios(axes, measured(rows(records)))
    assert axes.get_xlabel() == "Speed relative to Shifted Window\n(window=8, mask=-1000) (right is faster)"


def test_a_band_shows_where_an_identical_layer_may_lie(axes: Axes):
    msa, hilo, _ = block({"msa": [1.0] * 6, "hilo": [0.5] * 6})
    noisy = changed(record("msa", [1.25] * 6), role=Role.twin)
    draw_ratios(axes, measured(rows([msa, hilo, noisy])))
    (band,) = (patch for patch in axes.patches if patch.get_label() == "noise floor")
    extents = band.get_extents().transformed(axes.transData.inverted())
    np.testing.assert_allclose([extents.x0, extents.x1], [0.8, 1.25])


def test_a_device_without_a_baseline_draws_no_ratios_and_stops_no_figure(tmp_path: Path):
    records = [
        *block({"msa": [1.0] * 6, "hilo": [0.5] * 6}),
        record("hilo", [0.1] * 6, device="cuda", block="b"),
    ]
    drawn = {path.name for path in save_figures(rows(records), tmp_path)}
    assert "throughput.png" in drawn


def test_the_line_of_msas_rate_goes_through_msa(axes: Axes, table: list[Measured]):
    draw_flops_against_time(axes, table, INKS)
    (line,) = (line for line in axes.lines if line.get_linestyle() == "--")
    (_, right), (_, top) = numbers(line.get_data())
    assert top / right == pytest.approx(1e3 * 0.4 / 64 / 500)
    assert (axes.get_xlim()[0], axes.get_ylim()[0]) == (0, 0)


def test_what_was_not_counted_is_no_point_over_flops(axes: Axes, table: list[Measured]):
    uncounted = replace(table[0], record=changed(table[0].record, macs=None))
    draw_flops_against_time(axes, [uncounted, *table[1:]], INKS)
    assert len(axes.containers) == 2


def test_bars_and_points_have_the_mechanisms_ink(axes: Axes, table: list[Measured]):
    draw_throughput(axes, table, INKS)
    (bars,) = (container for container in axes.containers if isinstance(container, BarContainer))
    drawn = [mpl.colors.to_hex(bar.get_facecolor()) for bar in bars]
    assert drawn == [INKS[label].colour for label in ("mine", "msa", "hilo")]
    points: Axes = Figure().subplots()
    draw_flops_against_time(points, table, INKS | {"mine": MarkStyle("#123456", "*", "--", "none")})
    marks = [found.lines[0] for found in points.containers if isinstance(found, ErrorbarContainer)]
    assert (marks[2].get_color(), marks[2].get_marker(), marks[2].get_fillstyle()) == ("#123456", "*", "none")
    assert {mark.get_linestyle() for mark in marks} == {"None"}


def test_a_plugin_keeps_its_colour_in_every_setting_of_a_run():
    both = [record(label, SPREAD, block="a") for label in ("first", "second")]
    alone = record("second", SPREAD, batch=4, block="b")
    pages = figures(setting_pages, rows([*both, alone]))
    drawn = [
        mpl.colors.to_hex(bar.get_facecolor())
        for name in ("throughput-batch64", "throughput-batch4")
        for bar in pages[name].axes[0].patches
    ]
    assert len(drawn) == 3
    assert drawn[2] in drawn[:2]


def test_names_at_the_side_do_not_overlap_and_keep_the_order_of_their_points(axes: Axes):
    same = [record(label, [0.4] * 6, title=label) for label in ("msa", "hilo", "van")]
    draw_flops_against_time(axes, measured(rows([*same, record("sra", [0.8] * 6, title="sra")])), INKS)
    names = [text for text in axes.texts if text.get_text() in ("msa", "hilo", "van", "sra")]
    heights = [numbers(text.get_position())[1] for text in names]
    assert names[-1].get_text() == "sra"
    inches = axes.get_window_extent().height / axes.figure.dpi
    assert inches * np.diff(heights).min() == pytest.approx(LINE_INCHES)


def test_ratios_carry_their_intervals(axes: Axes, table: list[Measured]):
    draw_ratios(axes, table)
    (points,) = (found for found in axes.containers if isinstance(found, ErrorbarContainer))
    drawn = [segment[:, 0] for segment in points.lines[2][0].get_segments()]
    speeds = sorted((row.timing.speed for row in table if row.timing.speed), key=lambda speed: speed.value)
    np.testing.assert_allclose(drawn, numbers([(speed.low, speed.high) for speed in speeds]))


def test_times_carry_their_intervals(axes: Axes, table: list[Measured]):
    draw_flops_against_time(axes, table, INKS)
    points = [found for found in axes.containers if isinstance(found, ErrorbarContainer)]
    drawn = [point.lines[2][0].get_segments()[0][:, 1] for point in points]
    times = [(row.timing.time_s.low, row.timing.time_s.high) for row in table]
    np.testing.assert_allclose(drawn, 1e3 / 64 * numbers(times))
