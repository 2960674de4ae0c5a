"""Whole models on the command line, with a tiny backbone of a plugin."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.conftest import Run

TINY = Path(__file__).parents[1] / "tiny_backbone.py"
EFFORT = ("--quick", "--sessions", "1", "--max-seconds", "1", "--threads", "1", "--device", "cpu")
SMALL = ("--plugin", TINY, "--dim", "24", "--heads", "3", "--batch", "2", "--image", "32")


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_backbone_is_listed_with_what_its_mixers_cost(attnbench: Run):
    done = attnbench("list", "tiny*", "tiny/msa", "--plugin", TINY, "--res", "24x16", "--format", "csv")
    own, of_msa = lines(done.out)
    assert (own["label"], of_msa["label"]) == ("tiny", "tiny/msa")
    assert int(of_msa["macs"]) - int(of_msa["macs_mixers"]) == 24 * 48 * 12 + 12 * 1000
    assert of_msa["heads_mixers"] == ""


def test_a_word_with_a_star_that_nothing_fits_says_so(attnbench: Run):
    done = attnbench("list", "tony*", "--plugin", TINY)
    assert done.status == 2
    assert "No mechanism and no backbone is called as 'tony*' has it" in done.err


def test_flops_of_models_and_layers_have_no_size_in_common(attnbench: Run, tmp_path: Path):
    words = ("tiny/msa", "--plugin", TINY, "--out", tmp_path)
    done = attnbench("flops", "msa", *words)
    assert done.status == 2
    assert "no size in common" in done.err
    alone = attnbench("flops", *words, "--res", "16,32", "--format", "csv")
    assert [(line["height"], line["dim"]) for line in lines(alone.out)] == [("16", ""), ("32", "")]


def test_channels_and_heads_are_no_models(attnbench: Run, tmp_path: Path):
    done = attnbench("run", "tiny", *SMALL, *EFFORT, "--out", tmp_path)
    assert done.status == 2
    assert "--dim, --heads and --stage are for layers, and models have their own" in done.err


def test_a_spectrum_is_a_layers(attnbench: Run, tmp_path: Path):
    done = attnbench("spectrum", "tiny/msa", "--plugin", TINY, "--out", tmp_path)
    assert done.status == 2
    assert "tiny/msa is a model, which gives scores and no map" in done.err


@pytest.mark.slow
@pytest.mark.usefixtures("workers_in_process", "figures_unencoded")
def test_models_and_layers_of_one_command_are_blocks_of_their_own(attnbench: Run, tmp_path: Path):
    words = ("tiny", "tiny/msa", "tiny/xca", "msa", "xca")
    modes = ("inference", "training")
    done = attnbench("run", *words, *SMALL, *EFFORT, "--mode", ",".join(modes), "--out", tmp_path)
    assert done.status == 0, done.err
    assert "images of 32×32 pixels, batch 2" in done.out
    found = lines((tmp_path / "table.csv").read_text())
    assert {(line["label"], line["outcome"], line["mode"]) for line in found} == {
        (word, "measured", mode) for word in words for mode in modes
    }
    of_models = [line for line in found if line["label"].startswith("tiny")]
    assert {(line["dim"], line["heads"], line["baseline"]) for line in of_models} == {("", "", "tiny/msa")}
    compared = attnbench("compare", tmp_path, "--plot")
    assert compared.status == 0, compared.err
    assert list(tmp_path.glob("throughput-*32x32*.png"))
    assert "LITv2-S has 28 M parameters." in attnbench("claims", tmp_path).out


@pytest.mark.slow
def test_a_profile_says_what_the_mixers_take(attnbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("attnbench.measuring.profile.PROFILED_S", 0)
    size = ("--plugin", TINY, "--res", "32", "--batch", "2")
    done = attnbench("profile", "tiny/msa", *size, "--out", tmp_path, "--format", "json")
    assert done.status == 0, done.err
    told = json.loads(done.out)
    kinds = {line["name"]: line for line in told["kinds"]}
    assert {"mixers", "linear layers", "convolutions"} <= kinds.keys()
    assert kinds["linear layers"]["macs"] == 2 * 12 * 1000
    assert {"patches", "mixers", "head"} <= {line["name"] for line in told["stages"]}
