"""Speed and memory relative to the baseline over sizes, read back as numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from attnbench.analysis.rows import Row, measured, rows
from attnbench.cases.case import Role
from attnbench.records.record import Memory, Record
from attnbench.report.colours import mark_styles_of
from attnbench.report.figure.file_names import MISFIT
from attnbench.report.figure.ratios import draw_memories, draw_speeds, ratio_pages
from tests.fakes import changed, record
from tests.report.figure.pages import figures

SPREAD = [0.9, 1.0, 1.1, 1.0, 0.95, 1.05]
MIB = 2**20
INKS = mark_styles_of(["msa", "hilo", "van"])


def case(
    label: str,
    side: int,
    time_s: float = 0.0,
    peak_mib: int = 0,
    spread: Sequence[float] = SPREAD,
    **changes: Any,
) -> Record:
    """A case on a square map; without a time it ran out of memory."""
    memory = Memory((peak_mib - 2) * MIB, 2 * MIB, "cpu", True, None, None) if peak_mib else None
    times = [time_s * x for x in spread] if time_s else []
    square = {"height": side, "width": side, "block": f"{side} {changes.get('mode')}", "memory": memory}
    return record(label, times, **{**square, "outcome": "measured" if time_s else "out_of_memory", **changes})


@pytest.fixture
def table() -> list[Row]:
    """HiLo is twice as fast as MSA on the smallest map, and four times on the next; then MSA does not fit."""
    return rows(
        [
            case("msa", 7, 0.2, 20), case("hilo", 7, 0.1, 30),
            case("msa", 14, 0.8, 80), case("hilo", 14, 0.2, 40),
            case("msa", 28), case("hilo", 28, 1.0, 160),
        ],
        "msa",
    )  # fmt: skip


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


def lines(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """The points of each mechanism's line."""
    return {
        str(found.get_label()): [(float(x), float(y)) for x, y in np.asarray(found.lines[0].get_xydata())]
        for found in axes.containers
        if isinstance(found, ErrorbarContainer)
    }


def test_speeds_are_those_of_each_sizes_own_rounds_where_the_baseline_has_a_time(
    axes: Axes, table: list[Row]
):
    draw_speeds(axes, table, INKS)
    assert lines(axes) == {"HILO": [pytest.approx((7, 2)), pytest.approx((14, 4))]}
    (hilo,) = (found for found in axes.containers if isinstance(found, ErrorbarContainer))
    ends = [segment[:, 1].tolist() for segment in hilo.lines[2][0].get_segments()]
    ours = [row.timing.speed for row in measured(table) if row.timing.speed]
    np.testing.assert_allclose(ends, np.array([(each.low, each.high) for each in ours], dtype=float))
    assert axes.get_ylabel() == "Speed relative to MSA"


def test_memory_is_relative_to_the_baselines_at_the_same_size(axes: Axes, table: list[Row]):
    draw_memories(axes, table, INKS)
    assert lines(axes) == {"HILO": [(7, 1.5), (14, 0.5)]}
    assert axes.get_ylabel() == "Memory in all relative to MSA"


def test_each_line_is_named_at_its_own_end_and_the_baseline_at_1(axes: Axes, table: list[Row]):
    draw_speeds(axes, table, INKS)
    named = {text.get_text(): text.xy for text in axes.texts}  # type: ignore[attr-defined]
    assert named == {"HILO": pytest.approx((14, 4)), "MSA": (14, 1)}


def test_heights_hold_all_intervals(axes: Axes):
    pairs = [
        [case("msa", side, 0.2, spread=SPREAD[::-1]), case("hilo", side, 0.1, spread=[0.5, *SPREAD[1:]])]
        for side in (7, 14)
    ]
    table = rows([each for pair in pairs for each in pair], "msa")
    draw_speeds(axes, table, INKS)
    speeds = [row.timing.speed for row in measured(table) if row.timing.speed]
    low, high = axes.get_ylim()
    assert max(speed.high or 0 for speed in speeds) > 1.1 * speeds[0].value
    assert low < 1
    assert high > max(speed.high or 0 for speed in speeds)


def test_sizes_are_those_with_a_ratio(axes: Axes, table: list[Row]):
    draw_speeds(axes, table, INKS)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["7", "14"]
    assert axes.get_yscale() == "log"


def test_a_band_shows_where_an_identical_layer_may_lie_at_each_size(axes: Axes):
    sides = {7: 1.25, 14: 1.1}
    twins = [changed(case("msa", side, 0.2 * off), role=Role.twin) for side, off in sides.items()]
    pairs = [case(label, side, time_s) for side in sides for label, time_s in (("msa", 0.2), ("hilo", 0.1))]
    table = rows([*pairs, *twins])
    draw_speeds(axes, table, INKS)
    floors = {row.side: row.timing.noise_floor for row in measured(table)}
    (band,) = (found for found in axes.collections if isinstance(found, PolyCollection))
    vertices = np.asarray(band.get_paths()[0].vertices, dtype=float)
    corners = {(float(x), round(float(y), 6)) for x, y in vertices}
    assert corners == {
        (side, round(end, 6))
        for side, floor in floors.items()
        for end in (1 + (floor or 0.0), 1 / (1 + (floor or 0.0)))
    }


def test_each_mode_has_its_figures_and_what_has_no_second_size_none(table: list[Row]):
    trained = [row.record for row in table[:4]]
    both = rows(
        [*trained, *(changed(each, mode="training", block=f"{each.block} training") for each in trained)],
        "msa",
    )
    assert list(figures(ratio_pages, both)) == [
        "scaling-ratios", "scaling-ratios-memory",
        "scaling-ratios-training", "scaling-ratios-memory-training",
    ]  # fmt: skip
    assert list(figures(ratio_pages, table[2:])) == []


def test_what_grey_means_is_said_where_there_is_grey(table: list[Row]):
    pages = figures(ratio_pages, table)
    said = {name: " ".join(page.get_supxlabel().split()) for name, page in pages.items()}
    assert said["scaling-ratios"].startswith(
        "Grey: where an identical layer may lie. A line ends where it, or"
    )
    assert said["scaling-ratios-memory"].startswith(
        "A line ends where it, or the baseline, has no number. Dim"
    )
    assert not any(MISFIT in text for text in said.values())
