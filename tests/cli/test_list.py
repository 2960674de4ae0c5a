"""`attnbench list`: the registry, or choices of it, with exact costs."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from attnbench.cli.table_options import REGISTRY
from attnbench.machine import system
from attnbench.paper import published
from tests.conftest import Run

IDENTICAL = Path(__file__).parents[1] / "identical.py"

SPLITS = {  # label: Lo-Fi heads, Hi-Fi heads, params, FLOPs, of these Lo-Fi, Hi-Fi; window 2
    "hilo:alpha=0.0": (0, 12, 2_362_368, 463_626_240, 0, 463_626_240),
    "hilo:alpha=0.1": (1, 11, 2_272_256, 432_642_560, 16_482_816, 416_159_744),
    "hilo:alpha=0.2": (2, 10, 2_198_528, 404_870_144, 34_571_264, 370_298_880),
    "hilo:alpha=0.3": (3, 9, 2_141_184, 380_308_992, 54_265_344, 326_043_648),
    "hilo:alpha=0.4": (4, 8, 2_100_224, 358_959_104, 75_565_056, 283_394_048),
    "hilo:alpha=0.5": (6, 6, 2_067_456, 325_893_120, 122_981_376, 202_911_744),
    "hilo:alpha=0.6": (7, 5, 2_075_648, 314_177_024, 149_097_984, 165_079_040),
    "hilo:alpha=0.7": (8, 4, 2_100_224, 305_672_192, 176_820_224, 128_851_968),
    "hilo:alpha=0.8": (9, 3, 2_141_184, 300_378_624, 206_148_096, 94_230_528),
    "hilo": (10, 2, 2_198_528, 298_296_320, 237_081_600, 61_214_720),
    "hilo:alpha=1.0": (12, 0, 2_362_368, 303_765_504, 303_765_504, 0),
}
WINDOWS = {  # label: params, FLOPs, of these Lo-Fi, Hi-Fi; α = 0.9
    "hilo:window=1": (2_362_368, 521_428_992, 521_428_992, 0),
    "hilo": (2_198_528, 298_296_320, 237_081_600, 61_214_720),
    "hilo:window=3": (2_198_528, 305_088_000, 234_528_000, 70_560_000),
    "hilo:window=4": (2_198_528, 332_398_592, 251_658_240, 80_740_352),
    "hilo:window=5": (2_198_528, 285_672_960, 214_191_360, 71_481_600),
    "hilo:window=6": (2_198_528, 408_388_608, 304_542_720, 103_845_888),
    "hilo:window=7": (2_198_528, 245_027_840, 181_555_200, 63_472_640),
    "hilo:window=14": (2_198_528, 248_701_952, 177_853_440, 70_848_512),
}
TITLES = ("[/]", "[bold]X", "x[y]z")
PLUGIN = f"""
from torch import nn
from attnbench import Mechanism, Paper

paper = Paper("", "Here", 2026, "")
a, b, c = (
    Mechanism(name, title, lambda geometry: nn.Identity(), lambda geometry: 0, paper)
    for name, title in zip("abc", {TITLES}, strict=True)
)
"""


def listed(attnbench: Run, *arguments: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(attnbench("list", *arguments, "--format", "csv").out)))


def exact(line: dict[str, str], *columns: str) -> tuple[int, ...]:
    return tuple(int(line[column]) for column in columns)


def test_csv_holds_exact_counts_in_the_papers_order(attnbench: Run):
    lines = listed(attnbench)
    assert [line["mechanism"] for line in lines] == list(published())
    assert lines[-1]["params_published"] == "2200000"
    assert lines[0] == {
        "label": "msa", "mechanism": "msa", "title": "MSA", "settings": "",
        "family": "softmax", "venue": "ICLR", "year": "2021",
        "params": "2362368", "params_published": "2360000",
        "macs": "521428992", "macs_published": "521400000", "uncounted": "",
        "macs_hi_fi": "", "heads_hi_fi": "", "macs_lo_fi": "", "heads_lo_fi": "",
    }  # fmt: skip


def test_a_sweep_over_alpha_gives_the_specifications_table(attnbench: Run):
    columns = ("heads_lo_fi", "heads_hi_fi", "params", "macs", "macs_lo_fi", "macs_hi_fi")
    lines = listed(attnbench, "hilo:alpha=0..1/0.1")
    assert {line["label"]: exact(line, *columns) for line in lines} == SPLITS
    assert [line["label"] for line in lines] == list(SPLITS)


def test_a_sweep_over_windows_gives_the_specifications_table(attnbench: Run):
    lines = listed(attnbench, "hilo:window=1,2..7,14")
    columns = ("params", "macs", "macs_lo_fi", "macs_hi_fi")
    assert {line["label"]: exact(line, *columns) for line in lines} == WINDOWS
    assert [line["label"] for line in lines] == list(WINDOWS)


def test_the_csv_of_a_sweep_resolves_its_settings(attnbench: Run):
    (first, second) = listed(attnbench, "hilo:window=1,2")
    assert (first["settings"], second["settings"]) == (
        "alpha=0.9,window=1,pooled_queries=False",
        "alpha=0.9,window=2,pooled_queries=False",
    )
    assert (first["macs_published"], second["macs_published"]) == ("", "298300000")


def test_named_choices_are_shown_with_every_digit_and_their_branches(attnbench: Run):
    lines = attnbench("list", "hilo", "msa", "hilo:alpha=0.9").out.splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert rows == [
        ["HiLo", "alpha=0.9, window=2, pooled_queries=False", "NeurIPS 2022", "2,198,528", "2.20 M",
         "298,296,320", "298.3 M", "61,214,720", "2", "237,081,600", "10"],
        ["MSA", "", "ICLR 2021", "2,362,368", "2.36 M", "521,428,992", "521.4 M", "", "", "", ""],
    ]  # fmt: skip


def test_published_counts_stand_only_beside_those_of_their_geometry(attnbench: Run):
    assert listed(attnbench, "msa", "--res", "7")[0]["macs_published"] == ""
    assert listed(attnbench, "msa", "--heads", "6")[0]["macs_published"] == ""
    assert "paper" not in attnbench("list", "msa", "--res", "7").out


def test_the_table_says_why_a_count_is_not_the_published_one(attnbench: Run):
    out = attnbench("list").out
    assert "622.9" in out
    assert "613.3" in out
    assert "QuadTree: the published count leaves out" in out


def test_a_mechanism_that_refuses_the_map_says_why(attnbench: Run):
    out = attnbench("list", "--res", "1", "--dim", "48", "--heads", "6").out
    assert "· sra: " in out


@pytest.mark.parametrize("size", [("--res", "100000"), ("--dim", "99999999999", "--heads", "3")])
def test_a_layer_that_there_is_no_memory_for_says_what_it_needs(attnbench: Run, size: tuple[str, ...]):
    done = attnbench("list", "msa-again", "--plugin", IDENTICAL, *size, "--format", "csv")
    assert done.status == 0
    assert re.fullmatch(
        r"· msa-again: out of memory: one image needs 8,589,934,592\.0 GiB or more by prediction, and [\d.]+ "
        r"GiB are available",
        " ".join(done.err.split()),
    )


def test_parameters_of_a_layer_that_there_is_no_memory_for_are_counted(
    attnbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from dataclasses import replace\n"
        "from mechanisms import van\n"
        "mine = replace(van.van, name='mine', title='Mine')\n"
    )
    monkeypatch.setattr(system, "available_memory_bytes", lambda: 2**20)
    done = attnbench("list", "mine", "--plugin", plugin, "--res", "64", "--format", "csv")
    assert ",1830144," in done.out
    assert "mine: out of memory: one image needs 0.1 GiB by prediction, and 0.0 GiB are" in done.err


def test_a_layer_of_ours_has_a_closed_form_that_needs_no_memory(attnbench: Run):
    done = attnbench("list", "van", "--res", "100000", "--format", "csv")
    assert done.err == ""
    assert ",1830144,," in done.out


def test_json_has_numbers_settings_branches_and_papers(attnbench: Run):
    done = attnbench("list", "hilo:window=4", "msa", "--res", "14x28", "--format", "json")
    answer = json.loads(done.out)
    assert answer["geometry"] == {"dim": 768, "heads": 12, "height": 14, "width": 28}
    assert answer["image"] == {"height": 14, "width": 28}
    hilo, msa = answer["mechanisms"]
    assert (hilo["label"], hilo["settings"]) == (
        "hilo:window=4",
        {"alpha": 0.9, "window": 4, "pooled_queries": False},
    )
    assert [(branch["title"], branch["heads"]) for branch in hilo["branches"]] == [
        ("Hi-Fi", 2),
        ("Lo-Fi", 10),
    ]
    assert hilo["macs"] == sum(branch["macs"] for branch in hilo["branches"])
    assert (msa["macs_published"], msa["paper"]["year"]) == (None, 2021)


def test_published_counts_are_numbers_in_json(attnbench: Run):
    (hilo,) = json.loads(attnbench("list", "hilo", "--format", "json").out)["mechanisms"]
    assert (hilo["params"], hilo["params_published"], hilo["macs_published"]) == (
        2_198_528, 2_200_000, 298_300_000,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "json"])
def test_notes_beside_data_are_on_standard_error(attnbench: Run, form: str):
    done = attnbench("list", "sra", "--res", "1", "--dim", "48", "--heads", "6", "--format", form)
    assert done.err.startswith("· sra: ")
    assert "·" not in done.out


def test_a_plugins_title_is_shown_as_it_is(attnbench: Run, tmp_path: Path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    for names in ((), ("a", "b", "c")):
        out = attnbench("list", *names, "--plugin", plugin).out
        assert [title for title in TITLES if f"│ {title} " not in out] == [], names


def test_counts_are_whole_on_a_narrow_terminal(attnbench: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = attnbench("list", "hilo:alpha=0..1/0.1").out
    for label, (_, _, params, *flops) in SPLITS.items():
        assert all(f" {count:,} " in out for count in (params, *flops)), label
    assert "…" not in out + attnbench("list").out
    assert "left out for want of width: Published in, paper" in out


def test_columns_are_those_that_are_asked_for_in_their_order(attnbench: Run):
    out = attnbench("list", "msa", "hilo", "--columns", "year,macs_hi_fi,macs").out
    heading, msa, hilo = (line for line in out.splitlines() if line.startswith(("┃", "│")))
    assert heading.strip("┃").replace(" ", "").split("┃") == ["Mechanism", "year", "macshifi", "macs"]
    assert msa.strip("│").replace(" ", "").split("│") == ["MSA", "2021", "—", "521,428,992"]
    assert hilo.strip("│").replace(" ", "").split("│") == ["HiLo", "2022", "61,214,720", "298,296,320"]
    found = attnbench("list", "msa", "hilo", "--columns", "year,macs_hi_fi", "--format", "csv").out
    assert found.splitlines() == ["year,macs_hi_fi", "2021,", "2022,61214720"]


def test_a_column_that_is_not_there_is_refused_with_those_that_are(attnbench: Run):
    done = attnbench("list", "hilo", "--columns", "paramz")
    assert (done.status, done.out) == (2, "")
    assert "No column of the registry is called 'paramz'. Did you mean 'params'?" in done.err
    assert "uncounted, macs_hi_fi, heads_hi_fi" in done.err
    assert "not for json" in attnbench("list", "--columns", "params", "--format", "json").err


def test_columns_of_every_choice_are_offered(attnbench: Run):
    assert attnbench("list", "msa", "--format", "csv").out.splitlines()[0] == ",".join(REGISTRY)
