"""Ticks of axes."""

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.report.figure.axis import even_ratios, number, ratio, set_log_heights, set_ratios


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


@pytest.mark.parametrize(
    ("value", "text"), [(16100.0, "16,100"), (0.25, "0.25"), (0.30000000000000004, "0.3")]
)
def test_a_tick_reads_as_numbers_in_tables_do(value: float, text: str):
    assert number(value) == text


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.9, 3.2, [1, 1.5, 2, 2.5, 3]),
        (0.97, 1.05, [0.98, 1, 1.02, 1.04]),
        (1.7, 2.4, [1.75, 2, 2.25]),
    ],
)
def test_even_ratios_are_few_and_meet_1(low: float, high: float, ticks: list[float]):
    assert even_ratios(low, high) == ticks


@pytest.mark.parametrize(("value", "text"), [(2.0, "2×"), (0.125, "0.125×"), (0.015625, "1/64×")])
def test_a_small_ratio_is_a_fraction(value: float, text: str):
    assert ratio(value) == text


def test_ratios_over_a_wide_range_double(axes: Axes):
    axes.set_xlim(0.1, 4)
    set_ratios(axes)
    inside = [tick for tick in axes.get_xticks() if 0.1 <= tick <= 4]
    assert inside == [0.125, 0.25, 0.5, 1, 2, 4]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(100, 250, 7), (10, 1000, 7), (1, 10_000, 5)],
    ids=["even", "1, 2 and 5", "powers of ten"],
)
def test_log_heights_have_as_many_ticks_as_can_be_told_apart(axes: Axes, low: float, high: float, ticks: int):
    set_log_heights(axes, low, high)
    axes.set_ylim(low, high)
    assert len([tick for tick in axes.get_yticks() if low <= tick <= high]) == ticks
    assert axes.get_yscale() == "log"
