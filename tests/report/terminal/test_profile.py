"""What `attnbench profile` prints and writes of numbers that are known."""

import csv
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from attnbench.records.profile import Line, Part
from attnbench.report.profile import profile_notes, title, write_profile
from attnbench.report.terminal.grid import Grid
from attnbench.report.terminal.profile import operators_table, parts_table
from tests.report.profiles import COPY, PRODUCTS, PROFILE, REST, SOFTMAX


def printed(table: Grid, width: int) -> list[str]:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


def cells(table: Grid) -> list[list[str]]:
    rows = [line for line in printed(table, 200) if line.startswith("│")]
    return [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]


def test_operators_stand_largest_first_with_small_ones_together():
    assert cells(operators_table(PROFILE)) == [
        ["addmm", "projections", "2", "60.000", "60.0", "6,000.0", "12.0", "100.0", "0.2"],
        ["softmax", "attention core", "1", "30.000", "30.0", "", "30.0", "", "1.0"],
        ["outside operators", "between operators", "", "9.500", "9.5", "", "", "", ""],
        ["others", "", "3", "0.500", "0.5", "", "1.0", "", "2.0"],
        ["total", "", "6", "100.000", "100.0", "6,000.0", "43.0", "60.0", "0.4"],
    ]


def test_a_rule_stands_above_the_total():
    lines = printed(operators_table(PROFILE), 200)
    assert [index for index, line in enumerate(lines) if line.startswith("├")] == [len(lines) - 3]
    assert lines[-2].startswith("│ total ")


def test_parts_stand_largest_first():
    assert [row[:4] for row in cells(parts_table(PROFILE))] == [
        ["projections", "2", "60.000", "60.0"],
        ["attention core", "1", "30.000", "30.0"],
        ["between operators", "", "9.500", "9.5"],
        ["data movement", "3", "0.500", "0.5"],
    ]


def test_on_a_narrow_terminal_a_name_is_folded_and_every_number_whole():
    fused = replace(SOFTMAX, operator="_scaled_dot_product_flash_attention_for_cpu")
    text = "\n".join(printed(operators_table(replace(PROFILE, lines=(fused, PRODUCTS))), 72))
    numbers, left_out = text.split("left out for want of width: ")
    assert numbers.split()[-7:] == ["3", "90.000", "100.0", "6,000.0", "42.0", "66.7", "0.5"]
    assert "…" not in text
    assert ("attention core" in text, left_out) == (False, "part")


def test_an_operator_in_place_keeps_its_name():
    assert cells(operators_table(replace(PROFILE, lines=(COPY,))))[0][0] == "copy_"


def test_the_title_says_what_was_called():
    assert "16 images, float32, explicit kernel, cpu, 2 threads" in title(PROFILE)
    on_gpu = title(replace(PROFILE, case=replace(PROFILE.case, device="cuda")))
    assert on_gpu.endswith("explicit kernel, cuda")


def test_the_notes_say_what_the_profiler_costs():
    first, *_ = profile_notes(PROFILE)
    assert "a call takes 96 ms (half of the calls between 95 and 99); profiled calls take 1.05 × as" in first
    assert "(medians of 12 calls each)" in first


def test_the_notes_say_what_bounds_a_layer_besides_its_main_product():
    slow_core = Line("bmm", Part.core, calls=1, self_s=0.02, bytes=0, macs=1_000_000_000)  # 0.01 s are due
    (note,) = [
        note
        for note in profile_notes(replace(PROFILE, lines=(PRODUCTS, slow_core, REST, COPY)))
        if "bound" in note
    ]
    assert note == (
        "Beyond all multiply-adds at the rate of addmm (100.0 GMAC/s), a call is bound by "
        "attention core 11 %, between operators 11 %."
    )


def test_nothing_bounds_a_layer_without_products_or_of_products_alone():
    for lines in ((SOFTMAX, REST), (PRODUCTS,)):
        assert not any("bound" in note for note in profile_notes(replace(PROFILE, lines=lines)))


def test_the_notes_say_by_how_much_the_closed_form_differs():
    more, less = (replace(PROFILE, closed_form_macs=macs) for macs in (6_002_500_000, 5_997_500_000))
    assert not any("closed form" in note for note in profile_notes(PROFILE))
    assert "has 2.5 M multiply-adds more" in profile_notes(more)[-1]
    assert "has 2.5 M multiply-adds less" in profile_notes(less)[-1]


def test_csv_has_every_operator_in_base_units(tmp_path: Path):
    found = list(csv.DictReader(write_profile(PROFILE, tmp_path).read_text().splitlines()))
    assert [row["operator"] for row in found] == ["addmm", "_softmax", "outside operators", "copy_"]
    expected = {
        "label": "msa", "device": "cpu", "batch": "16", "kernel": "explicit", "threads": "2",
        "part": "projections", "calls": "2", "self_s": "0.060000000", "bytes": "12000000",
        "macs": "6000000000", "call_s": "0.096000000", "profiled_call_s": "0.100800000",
    }  # fmt: skip
    assert expected.items() <= found[0].items()
