"""Profiles as plain numbers: which part an operator is of, and lines that add up."""

import pytest

from attnbench.records.profile import OTHERS, Line, Operation, Part, Profile, by_operator, part_of
from tests.shards import case


def profile(*lines: Line) -> Profile:
    calls = {"call_s": 0.1, "call_middle_s": (0.09, 0.12), "profiled_call_s": 0.11}
    return Profile(case("msa"), 2, lines, 10, **calls, closed_form_macs=0)  # type: ignore[arg-type]


def line(operator: str, self_s: float, part: Part = Part.element_wise) -> Line:
    return Line(operator, part, calls=1, self_s=self_s, bytes=8, macs=2)


@pytest.mark.parametrize(
    ("operator", "with_weight", "in_patches", "part"),
    [
        ("addmm", True, False, Part.projections),
        ("bmm", True, False, Part.projections),
        ("bmm", False, False, Part.core),
        ("convolution", True, True, Part.projections),
        ("convolution", True, False, Part.core),
        ("convolution", False, True, Part.core),
        ("_softmax", False, False, Part.core),
        ("_scaled_dot_product_flash_attention_for_cpu", False, False, Part.core),
        ("_scaled_dot_product_efficient_attention", False, False, Part.core),
        ("topk", False, False, Part.core),
        ("grid_sampler_2d", False, False, Part.core),
        ("cudnn_grid_sampler", False, False, Part.core),
        ("copy_", True, False, Part.movement),
        ("index_select", False, False, Part.movement),
        ("empty_like", False, False, Part.between),
        ("avg_pool2d", False, False, Part.element_wise),
        ("add_", True, False, Part.element_wise),
        ("mine::anything", True, True, Part.element_wise),
    ],
)
def test_an_operator_is_of_the_part_that_its_name_and_operands_say(operator, with_weight, in_patches, part):
    assert part_of(operator, with_weight=with_weight, in_patches=in_patches) is part


def test_calls_of_an_operator_are_one_line_in_each_part():
    product = Operation("bmm", Part.core, bytes=10, macs=5)
    projection = Operation("bmm", Part.projections, bytes=1, macs=1)
    found = by_operator([(product, 0.5), (projection, 0.125), (product, 0.25)])
    assert set(found) == {
        Line("bmm", Part.core, calls=2, self_s=0.75, bytes=20, macs=10),
        Line("bmm", Part.projections, calls=1, self_s=0.125, bytes=1, macs=1),
    }


def test_lines_under_one_percent_are_one_line_at_the_end():
    found = profile(line("small", 0.004), line("smaller", 0.003), line("mul", 0.010), line("addmm", 0.983))
    assert [(each.operator, each.calls) for each in found.main_lines] == [
        ("addmm", 1),
        ("mul", 1),
        (OTHERS, 2),
    ]
    assert found.main_lines[-1].self_s == pytest.approx(0.007)


def test_there_are_no_others_where_every_line_is_large():
    assert [each.operator for each in profile(line("mul", 1.0)).main_lines] == ["mul"]


def test_parts_hold_every_line_once_and_the_largest_is_first():
    found = profile(line("mul", 1.0), line("bmm", 3.0, Part.core), line("gelu", 1.0))
    assert [(each.part, each.calls, each.self_s) for each in found.parts] == [
        (Part.core, 1, 3.0),
        (Part.element_wise, 2, 2.0),
    ]
    assert [found.share(each) for each in found.parts] == [0.6, 0.4]


def test_rates_are_of_the_lines_own_time_and_zero_without_any():
    assert (line("mul", 0.5).macs_per_s, line("mul", 0.5).bytes_per_s) == (4, 16)
    assert (line("mul", 0.0).macs_per_s, line("mul", 0.0).bytes_per_s) == (0, 0)


def test_the_slowdown_is_the_profiled_calls_over_the_others():
    assert profile(line("mul", 1.0)).slowdown == pytest.approx(1.1)
