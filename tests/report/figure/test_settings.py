"""What is drawn against a mechanism's own setting, read back as numbers."""

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from attnbench.analysis.rows import measured, rows
from attnbench.records.record import Memory, Record
from attnbench.report.figure.settings import (
    Sweep,
    draw_flops,
    draw_memory,
    draw_params,
    draw_throughput,
    settings_pages,
    sweeps,
)
from tests.fakes import block, record
from tests.report.figure.pages import figures

SPREAD = [0.9, 1.0, 1.1, 1.0, 0.95, 1.05]
ALPHAS = (0.5, 0.0, 1.0)  # as nobody sorted them


def hilo(alpha: float, window: int = 2, **changes: Any) -> Record:
    """HiLo with these settings, which its label does not tell."""
    times = [(0.4 - 0.2 * alpha) * spread for spread in SPREAD]
    given = {"settings": {"alpha": alpha, "window": window}, "mechanism": "hilo", "times_s": times}
    given["title"] = f"HiLo (alpha={alpha}, window={window})"
    costs = {"params": int(2e6 + alpha * 1e6), "macs": int(1e8 * (4 - alpha)), "memory": None}
    return record(f"variant {alpha} {window} {changes}", **{**given, **costs, **changes})


def msa() -> list[Record]:
    return block({"msa": [0.4 * spread for spread in SPREAD]})


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


@pytest.fixture
def sweep() -> Sweep:
    (only,) = sweeps(rows([*msa(), *map(hilo, ALPHAS)]))
    return only


def drawn(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """The points of each line."""
    return {
        str(found.get_label()): [(float(x), float(y)) for x, y in np.asarray(found.lines[0].get_xydata())]
        for found in axes.containers
        if isinstance(found, ErrorbarContainer)
    }


def baseline(axes: Axes) -> list[float]:
    """The heights of dashed lines across."""
    return [float(np.asarray(line.get_ydata())[0]) for line in axes.lines if line.get_linestyle() == "--"]


def test_costs_stand_over_the_values_with_the_baselines_as_a_dashed_line(axes: Axes, sweep: Sweep):
    draw_params(axes, sweep)
    assert list(drawn(axes).values()) == [[(0, 2.0), (0.5, 2.5), (1, 3.0)]]
    assert baseline(axes) == [1.0]
    flops: Axes = Figure().subplots()
    draw_flops(flops, sweep)
    assert list(drawn(flops).values()) == [[(0, 400), (0.5, 350), (1, 300)]]
    assert baseline(flops) == [500]
    assert flops.get_ylim()[0] == 0
    assert flops.get_xlabel() == "alpha of HiLo"
    assert [label.get_text() for label in flops.get_xticklabels()] == ["0", "0.5", "1"]


def test_throughput_carries_its_intervals(axes: Axes, sweep: Sweep):
    draw_throughput(axes, sweep)
    ((points),) = drawn(axes).values()
    assert points == [pytest.approx(pair) for pair in [(0, 160), (0.5, 64 / 0.3), (1, 320)]]
    assert baseline(axes) == pytest.approx([160])
    (found,) = (each for each in axes.containers if isinstance(each, ErrorbarContainer))
    ends = [segment[:, 1].tolist() for segment in found.lines[2][0].get_segments()]
    ours = [row.timing.throughput for row in measured(sweep.rows)]
    np.testing.assert_allclose(ends, np.array([(each.low, each.high) for each in ours], dtype=float))


def test_memory_has_a_panel_where_it_was_measured():
    memory = Memory(280 * 2**20, 20 * 2**20, "cpu", True, None, None)
    records = [hilo(0.0, memory=memory), hilo(0.5), hilo(1.0)]
    (page,) = figures(settings_pages, rows(records)).values()
    assert list(drawn(page.axes[3]).values()) == [[(0, 300)]]
    (without,) = figures(settings_pages, rows([hilo(alpha) for alpha in ALPHAS])).values()
    assert [axes.get_title(loc="left").partition(" ")[0] for axes in without.axes] == [
        "Parameters", "FLOPs", "Throughput",
    ]  # fmt: skip


def test_a_value_that_did_not_fit_is_a_cross_at_the_edge(axes: Axes):
    full = hilo(0.5, outcome="out_of_memory", times_s=())
    (sweep,) = sweeps(rows([hilo(0.0), full, hilo(1.0)]))
    draw_throughput(axes, sweep)
    (cross,) = (line for line in axes.lines if line.get_marker() == "x")
    assert np.asarray(cross.get_xydata()).tolist() == [[0.5, 0.0]]
    memory: Axes = Figure().subplots()
    draw_memory(memory, sweep)
    (cross,) = (line for line in memory.lines if line.get_marker() == "x")
    assert np.asarray(cross.get_xydata()).tolist() == [[0.5, memory.get_ylim()[1]]]


def test_each_choice_of_the_other_settings_is_a_line(axes: Axes):
    (sweep,) = sweeps(rows([hilo(alpha, window) for alpha in ALPHAS for window in (2, 7)]))
    draw_flops(axes, sweep)
    assert list(drawn(axes)) == ["window=2", "window=7"]
    assert sweep.baseline is None


def test_fewer_than_three_values_or_values_that_are_no_numbers_are_no_sweep():
    assert sweeps(rows([hilo(0.0), hilo(1.0)])) == []
    assert sweeps(rows([hilo(0.0, 2), hilo(0.5, 2), hilo(1.0, 7)])) == []
    assert sweeps(rows([hilo(0.0), hilo(0.5), hilo(1.0, batch=4)])) == []
    names = [record(f"x:{name}", mechanism="x", settings={"kind": name}) for name in "abc"]
    assert sweeps(rows(names)) == []


def test_a_baseline_that_is_of_the_mechanism_itself_is_no_line_across():
    plain: dict[str, Any] = {"alpha": 0.25, "window": 2}
    (sweep,) = sweeps(rows([*block({"hilo": SPREAD}, settings=plain), *map(hilo, ALPHAS)]))
    assert sweep.baseline is None
    assert len(sweep.rows) == 4


def test_pages_are_named_by_setting_and_by_what_differs_in_the_run():
    one = [hilo(alpha) for alpha in ALPHAS]
    two = [hilo(alpha, mode="training") for alpha in ALPHAS]
    other = [hilo(alpha, mechanism="sra") for alpha in ALPHAS]
    assert list(figures(settings_pages, rows([*msa(), *one]))) == ["setting-alpha"]
    assert list(figures(settings_pages, rows([*one, *two]))) == [
        "setting-alpha", "setting-alpha-training",
    ]  # fmt: skip
    gpu = [hilo(alpha, device="cuda") for alpha in ALPHAS]
    assert list(figures(settings_pages, rows([*one, *gpu]))) == [
        "setting-alpha-cpu", "setting-alpha-cuda",
    ]  # fmt: skip
    assert list(figures(settings_pages, rows([*one, *other]))) == [
        "setting-alpha-hilo", "setting-alpha-sra",
    ]  # fmt: skip


def test_a_page_says_its_machine_setting_and_baseline():
    (page,) = figures(settings_pages, rows([*msa(), *map(hilo, ALPHAS)])).values()
    said = " ".join(page.get_supxlabel().split())
    assert said.startswith(
        "14×14 tokens, dim 768, 12 heads, batch 64, float32, explicit kernel, inference. Abacus"
    )
    assert [text.get_text() for text in page.legends[0].get_texts()] == ["MSA"]
