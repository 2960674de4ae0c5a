"""How many digits of a number are shown."""

import pytest

from attnbench.report.digits import estimated, fixed, millions, shown
from attnbench.statistics import Estimate


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (165.395, 163.012, 168.115, "165 [163, 168]"),
        (104.647, 103.161, 105.623, "104.6 [103.2, 105.6]"),
        (117.672, 96.824, 125.579, "118 [97, 126]"),
        (0.6229, 0.6051, 0.6303, "0.623 [0.605, 0.630]"),
        (32123.0, 31800.0, 32500.0, "32,100 [31,800, 32,500]"),
        (50.0, 48.5, 51.5, "50 [48, 52]"),
    ],
)
def test_an_interval_is_three_to_thirty_units_of_the_last_digit_wide(value, low, high, text):
    assert estimated(Estimate(value, low, high)) == text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(2.0), "2.00"),
        (Estimate(32.04), "32.0"),
        (Estimate(1234.5), "1,234"),
        (Estimate(0.5, 0.5, 0.5), "0.50 [0.50, 0.50]"),
        (Estimate(0.3, 0.3 - 1e-12, 0.3 + 1e-12), "0.30 [0.30, 0.30]"),
    ],
)
def test_without_a_width_there_are_three_significant_digits(estimate, text):
    assert estimated(estimate) == text


def test_decimals_that_are_asked_for_are_given():
    assert shown(Estimate(521.428992), decimals=1).value == "521.4"
    assert fixed(1234.5678, 2) == "1,234.57"


def test_a_small_count_has_two_significant_digits():
    counts = (2_362_368, 521_428_992, 41_800, 4_180, 1, 0, -3_100)
    assert list(map(millions, counts)) == ["2.4", "521.4", "0.042", "0.0042", "0.0000010", "0.0", "-0.0031"]
    assert millions(None) == "—"


def test_what_was_not_measured_is_a_dash():
    assert estimated(None) == "—"


def test_a_deviation_is_the_distance_from_the_value_to_either_end():
    assert shown(Estimate(10.0, 8.0, 12.0), 0, deviates=True).text == "10 ± 2"


def test_without_an_interval_there_are_three_digits_from_ten_and_from_a_hundred_on():
    assert [shown(Estimate(value)).text for value in (9.0, 10.0, 100.0)] == ["9.00", "10.0", "100"]
