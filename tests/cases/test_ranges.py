"""Lists and ranges as they are written."""

import pytest

from attnbench.cases.ranges import values
from attnbench.errors import AttnbenchError


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("7,14,28", ["7", "14", "28"]),
        ("2..7", ["2", "3", "4", "5", "6", "7"]),
        ("2..4,7", ["2", "3", "4", "7"]),
        ("3,1..4,4", ["3", "1", "2", "4"]),
        ("-1..1", ["-1", "0", "1"]),
        ("5..5", ["5"]),
        ("14,14x28,cuda,1.50", ["14", "14x28", "cuda", "1.50"]),
        ("", []),
    ],
)
def test_lists_and_whole_steps_are_read_in_order_and_each_value_once(text: str, items: list[str]):
    assert values(text) == items


def test_steps_are_exact_decimals_and_hit_the_end():
    assert values("0..1/0.1") == ["0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1"]


def test_an_end_that_no_step_hits_is_left_out():
    assert values("0..1/0.3") == ["0", "0.3", "0.6", "0.9"]
    assert values("7..20/7") == ["7", "14"]


def test_numbers_keep_their_zeros_before_the_point_and_lose_those_at_the_end():
    assert values("10..1e2/45.0") == ["10", "55", "100"]
    assert values("1.50..2.50/0.50") == ["1.5", "2", "2.5"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0..1/0", r"'0\.\.1/0' has steps of 0; they must be above 0"),
        ("0..1/-0.5", "steps of -0.5; they must be above 0"),
        ("7..2", r"'7\.\.2' ends before it starts; ranges go up: write 2\.\.7\."),
        ("7..2/2", r"write 2\.\.7/2\."),
        ("a..b", "has 'a' where a number must stand"),
        ("14x28..56", "has '14x28' where a number must stand"),
        ("1..", "has '' where a number must stand"),
        ("1..2/", "has '' where a number must stand"),
        ("0..inf", "has 'inf' where a number must stand"),
        ("1..2..3", r"has '2\.\.3' where a number must stand"),
        ("0..1000", "more than 1000 values"),
    ],
)
def test_a_bad_range_says_what_is_wrong_with_it(text: str, says: str):
    with pytest.raises(AttnbenchError, match=says):
        values(text)


def test_a_thousand_values_are_not_too_many():
    assert len(values("1..1000")) == 1000
