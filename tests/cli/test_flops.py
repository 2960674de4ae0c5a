"""`attnbench flops`: closed forms against resolution."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from attnbench import Geometry
from attnbench.cases.registry import discover
from attnbench.measuring.catalogue import points
from attnbench.records.cost import BranchCost, Point
from attnbench.report.notes import flops_notes
from attnbench.report.terminal.costs import flops_table
from tests.conftest import Run

REFUSES = """
from attnbench import Mechanism, Paper, UnsupportedGeometry

def macs(geometry):
    if geometry.height < 14:
        raise UnsupportedGeometry("the map is too small")
    return geometry.tokens

def build(geometry):
    raise AssertionError("nothing is built")

picky = Mechanism(
    name="picky", title="Picky", build=build, macs=macs, paper=Paper("On it", "Here", 2026, "https://example.org")
)
"""


def words_of(text: str) -> list[list[str]]:
    """The words of each line, without the rules of tables."""
    return [re.sub("[│┃]", " ", line).split() for line in text.splitlines()]


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_holds_exact_closed_forms_branch_by_branch(attnbench: Run, tmp_path: Path):
    options = ("--out", tmp_path / "new", "--format", "csv")
    done = attnbench("flops", "hilo", "msa", "--res", "7..14/7,7x14", *options)
    found = lines(done.out)
    assert [(line["label"], line["height"], line["width"]) for line in found] == [
        ("hilo", "7", "7"), ("hilo", "14", "14"), ("hilo", "7", "14"),
        ("msa", "7", "7"), ("msa", "14", "14"), ("msa", "7", "14"),
    ]  # fmt: skip
    assert found[1] == {
        "label": "hilo", "title": "HiLo", "height": "14", "width": "14", "tokens": "196", "dim": "768",
        "heads": "12", "macs": "298296320", "macs_hi_fi": "61214720", "heads_hi_fi": "2",
        "macs_lo_fi": "237081600", "heads_lo_fi": "10",
    }  # fmt: skip
    assert (found[4]["macs"], found[4]["macs_hi_fi"]) == ("521428992", "")
    assert (tmp_path / "new" / "flops.csv").read_text() == done.out


def test_the_table_has_a_column_a_size_and_the_crossovers_below(attnbench: Run, tmp_path: Path):
    done = attnbench("flops", "hilo:alpha=0.5,0.9,window=2,7", "--res", "14..56/14", "--out", tmp_path)
    words = words_of(done.out)
    assert ["Mechanism", "14x14", "28x28", "42x42", "56x56"] in words
    assert ["Lo-Fi", "123.0", "580.4", "1,637.9", "3,737.9"] in words
    assert "· HiLo (alpha=0.5): Lo-Fi costs more than Hi-Fi from 56x56 on." in done.out
    assert "· HiLo (alpha=0.5, window=7): Lo-Fi costs no more than Hi-Fi at any of these sizes." in done.out
    assert "· HiLo: Lo-Fi costs more than Hi-Fi at all of these sizes." in done.out


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_nothing_is_drawn_unasked(attnbench: Run, tmp_path: Path, form: str):
    done = attnbench("flops", "msa", "--res", "14,28", "--out", tmp_path, "--format", form)
    assert [path.name for path in tmp_path.iterdir()] == ["flops.csv"]
    assert (done.out + done.err).count("written: ") == 1


def test_the_figure_is_drawn_into_a_folder_that_is_made(attnbench: Run, tmp_path: Path):
    folder = tmp_path / "a/new"
    done = attnbench("flops", "msa", "--res", "14,28", "--plot", "--out", folder)
    expected = {"flops.csv", "flops.png", "flops.pdf"}
    assert {path.name for path in folder.iterdir()} == expected
    written = {line.removeprefix("written: ") for line in done.out.splitlines() if "written: " in line}
    assert written == {str(folder / name) for name in expected}


def test_the_figure_has_the_width_and_the_formats_that_are_asked_for(attnbench: Run, tmp_path: Path):
    attnbench("flops", "msa", "--res", "14,28", "--plot", "--width", "text", "--svg", "--out", tmp_path)
    assert {path.name for path in tmp_path.glob("flops.*")} == {
        "flops.csv", "flops.png", "flops.pdf", "flops.svg",
    }  # fmt: skip
    assert b"/MediaBox [ 0 0 396 " in (tmp_path / "flops.pdf").read_bytes()


@pytest.mark.parametrize("option", [["--width", "column"], ["--svg"], ["--bare"]])
def test_how_to_draw_without_drawing_is_the_users_mistake(attnbench: Run, tmp_path: Path, option: list[str]):
    done = attnbench("flops", "msa", *option, "--out", tmp_path)
    assert (done.status, "add --plot to draw them" in done.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_crossover_that_padding_takes_back_names_its_sizes(attnbench: Run, tmp_path: Path):
    sizes = ("--res", "1x700,60,70", "--dim", "48", "--heads", "6")  # 7x700, 63x63 and 70x70 with padding
    done = attnbench("flops", "hilo:alpha=0.5,window=7", *sizes, "--out", tmp_path)
    assert "Lo-Fi costs more than Hi-Fi at 1x700, 70x70." in done.out


def test_a_branch_that_costs_as_much_as_another_costs_no_more():
    alike = tuple(BranchCost(title, 100, 1) for title in ("Hi-Fi", "Lo-Fi"))
    point = Point(discover().choose("hilo"), Geometry(8, 2, 7, 7), 200, alike)
    assert flops_notes([point]) == ["HiLo: Lo-Fi costs no more than Hi-Fi at any of these sizes."]


def test_a_map_that_a_closed_form_refuses_is_a_dash_and_a_note(attnbench: Run, tmp_path: Path):
    plugin = tmp_path / "picky.py"
    plugin.write_text(REFUSES)
    done = attnbench("flops", "picky", "--plugin", plugin, "--res", "7,1000", "--out", tmp_path)
    assert "· Picky (7x7): the map is too small" in done.out
    assert ["Picky", "—", "1.0"] in words_of(done.out)


def test_a_map_that_a_layer_refuses_is_a_dash_and_a_note(attnbench: Run, tmp_path: Path):
    done = attnbench("flops", "sra", "--res", "1,7", "--out", tmp_path)
    assert "· SRA (1x1): sra: a map of 1x1 holds no patch of 2x2 tokens" in done.out


def test_many_sizes_take_several_tables(attnbench: Run, tmp_path: Path):
    out = attnbench("flops", "msa", "--res", "1..24", "--out", tmp_path).out
    rows = words_of(out)
    heads = [cells[1:] for cells in rows if cells[:1] == ["Mechanism"]]
    assert len(heads) == 2
    assert [*heads[0], *heads[1]] == [f"{side}x{side}" for side in range(1, 25)]
    cells = [cells[1:] for cells in rows if cells[:1] == ["MSA"]]
    assert [list(map(len, cells)), len({*cells[0], *cells[1]})] == [list(map(len, heads)), 24]
    assert all(len(line) <= 160 for line in out.splitlines())


def test_a_terminal_that_is_too_narrow_for_a_size_gets_a_table_for_each():
    drawn = points([discover().choose("msa")], [Geometry(8, 2, side, side) for side in (7, 14)])
    console = Console(width=22)
    with console.capture() as capture:
        console.print(flops_table(drawn))
    assert capture.get().count("Mechanism") == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hilo:window=0..2", "window is 0; it must be at least 1"),
        ("hilo:alpha=0.9..1.1/0.1", "alpha is 1.1; it must lie between 0 and 1"),
        ("local-window:window=0", "window is 0; it must be at least 1"),
    ],
)
def test_a_setting_without_meaning_is_refused(attnbench: Run, tmp_path: Path, text: str, says: str):
    done = attnbench("flops", text, "--res", "7", "--out", tmp_path)
    assert (done.status, says in done.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_json_holds_closed_forms_with_their_branches(attnbench: Run, tmp_path: Path):
    done = attnbench("flops", "hilo", "sra", "--res", "1,14", "--out", tmp_path, "--format", "json")
    _, hilo, refused, _ = json.loads(done.out)["points"]
    assert (hilo["label"], hilo["tokens"], hilo["macs"]) == ("hilo", 196, 298_296_320)
    assert hilo["branches"][1] == {"title": "Lo-Fi", "macs": 237_081_600, "heads": 10}
    assert (refused["macs"], refused["branches"]) == (None, [])
    assert "holds no patch" in refused["refusal"]
    assert f"written: {tmp_path}/flops.csv" in done.err.splitlines()
