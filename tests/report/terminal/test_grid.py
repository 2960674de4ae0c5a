"""Tables on terminals that are too narrow for them."""

import pytest
from rich.console import Console

from attnbench.report.terminal.grid import Grid, GridColumn

NUMBER = "1,234,567.8 [1,234,567.0, 1,234,568.9]"
LONG = " ".join(["Attention"] * 14)
COLUMNS = (
    GridColumn("Mechanism", ["MSA", LONG], wraps=True),
    GridColumn("Memory (MiB)", ["160.0", "1,280.0"], drop_order=1),
    GridColumn("× MSA [95 %]", ["1.00", NUMBER]),
    GridColumn("paper", ["9.75", "8.25"], drop_order=2),
)


def drawn(grid: Grid, width: int) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(grid)
    return capture.get()


def in_a_cell(text: str) -> Grid:
    return Grid([GridColumn("Mechanism", [text], wraps=True)])


def test_where_there_is_room_a_line_holds_a_row():
    lines = drawn(Grid(COLUMNS), 240).splitlines()
    assert f"│ {LONG} │      1,280.0 │ {NUMBER} │  8.25 │" in lines
    assert "left out" not in lines[-1]


def test_a_long_title_wraps_and_pushes_no_number_out():
    text = drawn(Grid(COLUMNS), 70)
    assert text.count("Attention") == 14
    assert all(
        number in text for number in (" 1,280.0 ", " 1,234,567.8 ", "[1,234,567.0–1,234,568.9]", " 8.25 ")
    )
    assert max(map(len, text.splitlines())) <= 70


@pytest.mark.parametrize("letters", range(12, 30))
def test_a_heading_breaks_between_words_of_which_the_interval_is_one(letters: int):
    columns = [GridColumn("Mechanism", ["MSA"]), GridColumn("CPU img/s [95 %]", ["160 [140, 210]"])]
    assert "[95 %]" in drawn(Grid(columns, continued=True), letters + 14)


def test_rules_go_before_a_line_is_folded():
    text = drawn(Grid(COLUMNS), 80)
    assert (f" {NUMBER} " in text, "│" in text) == (True, False)


def test_text_that_stacks_goes_below_the_first_column_and_is_not_left_out():
    columns = [
        GridColumn("Claim", ["fast"], wraps=True),
        GridColumn("Why", ["it is so"], wraps=True, stacks=True),
    ]
    assert drawn(Grid(columns), 40).splitlines()[3] == " fast  it is so "
    lines = [
        line.strip() for line in drawn(Grid([*columns, GridColumn("Ours", ["1" * 20])]), 32).splitlines()
    ]
    assert lines[3:5] == [f"fast     {'1' * 20}", "it is so"]
    assert "left out" not in "".join(lines)


def test_a_continued_grid_has_every_column_beside_the_first():
    columns = [GridColumn("Mechanism", ["MSA"]), *(GridColumn(f"{n}", [f"{n}" * 9]) for n in range(1, 8))]
    text = drawn(Grid(columns, "title", "means", continued=True), 40)
    assert [line.count("│") - 2 for line in text.splitlines() if line.startswith("│")] == [2, 2, 2, 1]
    assert all(f" {n * 111_111_111} " in text for n in range(1, 8))
    assert (text.count("title"), text.count("means"), text.splitlines()[-1]) == (1, 1, "means")


def test_a_continued_grid_breaks_text_rather_than_go_on():
    columns = [
        GridColumn("Mechanism", [LONG], wraps=True),
        GridColumn("a", ["1" * 9]),
        GridColumn("b", ["2" * 9]),
    ]
    assert drawn(Grid(columns, continued=True), 60).count("Mechanism") == 1
    assert drawn(Grid(columns, continued=True), 50).count("Mechanism") == 1
    assert drawn(Grid(columns, continued=True), 45).count("Mechanism") == 2


def test_what_is_left_over_goes_evenly_to_headings_that_are_broken():
    columns = [GridColumn("one two three", ["1"]), GridColumn("four five six", ["1"])]
    assert len(drawn(Grid(columns), 25).splitlines()) == len(drawn(Grid(columns), 40).splitlines()) + 1


def test_columns_go_in_their_order_and_are_named_before_a_number_is_cut():
    text = drawn(Grid(COLUMNS, caption="means"), 50)
    assert "1,280.0" not in text
    assert " 8.25 " in text
    assert [line.strip() for line in text.splitlines()][-2:] == [
        "means",
        "left out for want of width: Memory (MiB)",
    ]
    assert "left out for want of width: Memory (MiB),\npaper" in drawn(Grid(COLUMNS), 41).replace(" \n", "\n")


@pytest.mark.parametrize("width", range(37, 130))
def test_no_number_is_cut_at_any_width(width: int):
    text = drawn(Grid(COLUMNS), width)
    assert "…" not in text
    assert " 1,234,567.8 " in text
    assert NUMBER in text or " [1,234,567.0–1,234,568.9] " in text


@pytest.mark.parametrize("title", ["[/]", "[bold]X", "x[y]z", ":art:", "[link=a]b[/link]"])
def test_a_title_that_looks_like_markup_is_shown_as_it_is(title: str):
    assert f" {title} " in drawn(in_a_cell(title), 80)
    assert title in drawn(Grid([GridColumn(title, ["MSA"])], title, caption=title), 80).splitlines()[-1]
    assert drawn(Grid([GridColumn(title, ["MSA"])], title, caption=title), 80).count(title) == 3


def test_a_title_of_settings_keeps_its_commas():
    assert " ".join(drawn(in_a_cell("HiLo (alpha=0.5, window=4)"), 16).split()).endswith(
        "(alpha=0.5, window=4)"
    )


def test_a_word_longer_than_its_column_is_folded():
    assert drawn(in_a_cell("a" * 30), 20).count("a") == 31
