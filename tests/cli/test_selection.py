"""The reader chooses: which mechanisms are shown, in which order, under which names, and which figures."""

import csv
import io
import json
import struct
from pathlib import Path

import pytest

from attnbench.records.record_file import append
from attnbench.report.colours import ASIDE, mark_styles_of
from tests.conftest import Run
from tests.fakes import block

TIMES = {"msa": 0.4, "hilo": 0.2, "sra": 0.3, "van": 0.25, "hilo:alpha=0.5,window=4": 0.22}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    append(folder, block({label: [seconds] * 12 for label, seconds in TIMES.items()}))
    return folder


def labels(text: str) -> list[str]:
    return [line["label"] for line in csv.DictReader(io.StringIO(text))]


def test_only_some_are_shown_in_the_readers_order(attnbench: Run, run: Path):
    shown = attnbench("compare", run, "--only", "van,HILO,msa", "--format", "csv").out
    assert labels(shown) == ["van", "hilo", "msa"]


def test_settings_keep_their_commas(attnbench: Run, run: Path):
    shown = attnbench("compare", run, "--only", "hilo:alpha=0.5,window=4,msa", "--format", "csv").out
    assert labels(shown) == ["hilo:alpha=0.5,window=4", "msa"]


def test_ratios_stay_those_to_a_baseline_that_is_not_shown(attnbench: Run, run: Path):
    (hilo,) = json.loads(attnbench("compare", run, "--only", "hilo", "--format", "json").out)["rows"]
    assert hilo["speed_vs_baseline"] == pytest.approx(2.0)
    assert hilo["baseline"] == "msa"


def test_names_stand_in_tables_and_reports(attnbench: Run, run: Path):
    assert "│ Ours " in attnbench("compare", run, "--rename", "hilo=Ours").out
    table = attnbench(
        "report", run, "--only", "msa,hilo", "--rename", "hilo=Ours", "--format", "markdown"
    ).out
    assert "| Ours" in table
    assert "VAN" not in table
    with_more = ("--only", "msa,hilo", "--rename", "hilo=Ours", "--rename", "van=Theirs")
    assert attnbench("report", run, *with_more, "--format", "markdown").out == table


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--only", "hlio"), "The run has no 'hlio'. Did you mean 'hilo'? It has msa, hilo, sra, van"),
        (("--rename", "hilo"), "--rename is 'hilo'; it must be LABEL=NAME"),
        (("--rename", "nobody=Ours"), "The run has no 'nobody'."),
        (("--highlight", "hilo"), "--highlight says how figures are drawn; add --plot or --figure"),
        (("--figure", "pie"), "--figure is 'pie'; it can be throughput, ratios"),
        (("--figure", "throughput", "--width", "wide"), "--width is 'wide'; it must be column"),
    ],
)
def test_what_is_not_there_is_a_mistake_in_the_call(
    attnbench: Run, run: Path, words: tuple[str, ...], says: str
):
    done = attnbench("compare", run, *words)
    assert done.status == 2
    assert says in " ".join(done.err.split())


def test_one_figure_is_drawn_at_a_venues_width(attnbench: Run, run: Path):
    words = ("--only", "hilo,msa,van", "--rename", "hilo=Ours", "--highlight", "hilo")
    done = attnbench("compare", run, *words, "--figure", "throughput", "--width", "cvpr")
    assert done.status == 0, done.err
    assert {path.name for path in run.iterdir()} == {"records.jsonl", "throughput.png", "throughput.pdf"}
    (pixels,) = struct.unpack(">I", (run / "throughput.png").read_bytes()[16:20])
    assert pixels == 975  # 3.25 inches of 300 dots


def test_a_kind_that_the_run_has_no_figure_of_is_said(attnbench: Run, run: Path):
    done = attnbench("compare", run, "--figure", "scaling")
    assert "This run has no figure of the kind scaling." in done.out
    assert not list(run.glob("*.png"))


def test_all_but_what_is_highlighted_is_grey():
    styles, own = mark_styles_of(TIMES, {"hilo"}), mark_styles_of(TIMES)
    assert styles["hilo"] == own["hilo"]
    assert {style.colour for label, style in styles.items() if label != "hilo"} == {ASIDE}
    assert [style.marker for style in styles.values()] == [style.marker for style in own.values()]


def test_cases_of_two_runs_are_chosen_ordered_and_renamed(attnbench: Run, run: Path):
    shown = attnbench(
        "compare", run, run, "--only", "van,hilo", "--rename", "hilo=Ours", "--format", "csv"
    ).out
    assert labels(shown) == ["van", "hilo"]
    assert "Ours" in shown
