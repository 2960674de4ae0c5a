"""The front of throughput against a cost, read back as numbers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from attnbench.analysis.rows import Measured, measured, rows
from attnbench.records.record import Energy, Record
from attnbench.report.colours import mark_styles_of
from attnbench.report.figure.pareto import COSTS, draw_pareto, front, pareto_page
from attnbench.report.figure.quantities import energy_mj, macs_m, params_m, total_mib
from attnbench.report.figure.run import setting_pages
from tests.fakes import MEMORY, changed, record
from tests.report.figure.pages import figures

SPREAD = [0.9, 1.0, 1.1, 1.0, 0.95, 1.05]
INKS = mark_styles_of("abcdef")


def layer(label: str, cost: float, time_s: float, **changes: Any) -> Record:
    """A layer with these millions of parameters and multiply-adds."""
    costs: dict[str, Any] = {"params": int(cost * 1e6), "macs": int(cost * 1e6)}
    return record(label, [time_s * spread for spread in SPREAD], **{**costs, **changes})


@pytest.fixture
def table() -> list[Measured]:
    """From the cheapest: b and d are beaten by a and c, and f costs as much as e and is slower."""
    costs = {"c": (3, 0.2), "a": (1, 0.4), "b": (2, 0.5), "d": (4, 0.2), "e": (5, 0.1), "f": (5, 0.15)}
    return measured(rows([layer(label, *cost) for label, cost in costs.items()]))


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


def labels(found: list[Measured]) -> str:
    return "".join(row.record.case.label for row in found)


def test_the_front_is_what_nothing_beats_from_the_cheapest_to_the_fastest(table: list[Measured]):
    assert labels(front(table, params_m)) == "ace"


def test_what_has_no_cost_is_on_no_front(table: list[Measured]):
    free = replace(table[1], record=changed(table[1].record, params=None))
    assert labels(front([table[0], free, *table[2:]], params_m)) == "bce"
    assert front(table, total_mib) == []


def test_all_layers_are_points_with_intervals_and_the_line_steps_along_the_front(
    axes: Axes, table: list[Measured]
):
    draw_pareto(axes, table, INKS, "Parameters (M)", params_m)
    points = {str(each.get_label()): each for each in axes.containers if isinstance(each, ErrorbarContainer)}
    assert np.asarray(points["B"].lines[0].get_xydata()).tolist() == [[2, pytest.approx(64 / 0.5)]]
    ends = points["B"].lines[2][0].get_segments()[0][:, 1]
    throughput = table[2].timing.throughput
    np.testing.assert_allclose(ends, np.array([throughput.low, throughput.high], dtype=float))
    assert points["B"].lines[0].get_color() == INKS["b"].colour
    (line,) = (line for line in axes.lines if line.get_label() == "front")
    np.testing.assert_allclose(np.asarray(line.get_xydata()), [[1, 160], [3, 320], [5, 640]])
    assert line.get_drawstyle() == "steps-post"


def test_a_front_of_one_layer_is_no_line(axes: Axes):
    best, *_ = table = measured(rows([layer("a", 1, 0.1), layer("b", 2, 0.2), layer("c", 3, 0.3)]))
    assert front(table, params_m) == [best]
    draw_pareto(axes, table, INKS, "Parameters (M)", params_m)
    assert [line.get_label() for line in axes.lines if line.get_label() == "front"] == []


@pytest.mark.parametrize(
    ("costs", "begins"), [((50, 60, 100), (False, False)), ((1, 60, 100), (True, True))], ids=["far", "near"]
)
def test_both_axes_begin_at_nought_or_neither(axes: Axes, costs: tuple[int, ...], begins: tuple[bool, bool]):
    table = [layer(label, cost, 0.2 + cost / 1e3) for label, cost in zip("abc", costs, strict=True)]
    draw_pareto(axes, measured(rows(table)), INKS, "Parameters (M)", params_m)
    assert (axes.get_xlim()[0] == 0, axes.get_ylim()[0] == 0) == begins
    assert axes.get_xlim()[1] > 100


def test_where_one_panel_begins_at_nought_all_do(table: list[Measured]):
    cheap = replace(table[0], record=changed(table[0].record, macs=1))
    page = pareto_page({"": [cheap, *table[1:]]}, INKS)
    assert {end for axes in page.axes for end in (axes.get_xlim()[0], axes.get_ylim()[0])} == {0}


def test_a_page_has_a_panel_for_each_cost_that_was_found(table: list[Measured]):
    page = pareto_page({"": table}, INKS)
    assert [axes.get_xlabel() for axes in page.axes] == ["Parameters (M)", "FLOPs (M)"]
    assert [axes.get_title(loc="left") for axes in page.axes] == ["front: A, C, E"] * 2
    with_memory = [replace(row, record=replace(row.record, memory=MEMORY)) for row in table]
    some_with_memory = [*with_memory[:2], *table[2:]]
    assert [axes.get_xlabel() for axes in pareto_page({"": some_with_memory}, INKS).axes] == list(COSTS)[:3]
    spent = Energy(0, joules=64.0, seconds=2.0, calls=10, idle_w=None)
    with_energy = [replace(row, record=replace(row.record, energies=(spent,))) for row in with_memory]
    assert [axes.get_xlabel() for axes in pareto_page({"": with_energy}, INKS).axes] == list(COSTS)


def test_a_cost_that_has_an_interval_shows_it(table: list[Measured]):
    spent = tuple(Energy(session, 64.0 + session, 2.0, 10, None) for session in range(3))
    (row, *_) = (replace(row, record=replace(row.record, energies=spent)) for row in table)
    (axes,) = (each for each in pareto_page({"": [row]}, INKS).axes if each.get_xlabel() == "Energy (mJ/img)")
    (drawn,) = (each for each in axes.containers if isinstance(each, ErrorbarContainer))
    across = drawn.lines[2][0].get_segments()[0]
    cost = energy_mj(row)
    assert cost
    assert across[:, 0].tolist() == pytest.approx([cost.low, cost.high])


def test_each_device_has_a_front_of_its_own(table: list[Measured]):
    gpu = measured(
        rows([layer(label, 1, 0.1, device="cuda", macs=None, macs_closed_form=None) for label in "abc"])
    )
    page = pareto_page({"cpu": table, "cuda": gpu}, INKS)
    assert [axes.get_title(loc="left").partition(":")[0] for axes in page.axes] == [
        "cpu, front",
        "cpu, front",
        "cuda, front",
    ]


def test_a_front_of_fewer_than_three_layers_is_not_drawn():
    for count, drawn in ((2, False), (3, True)):
        names = figures(setting_pages, rows([layer(label, 1, 0.1) for label in "abc"[:count]]))
        assert ("front" in names) is drawn


def test_costs_are_in_the_units_of_their_axes(table: list[Measured]):
    row = replace(
        table[0], record=changed(table[0].record, macs=None, macs_closed_form=7_000_000, memory=MEMORY)
    )
    assert [found.value for cost in (params_m, macs_m, total_mib) if (found := cost(row))] == [3, 7, 1001]
