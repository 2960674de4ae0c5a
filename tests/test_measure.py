"""`attnbench.measure` from Python: modules in this process, words in workers of their own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import attnbench
from attnbench import AttnbenchError

X = torch.randn(2, 12, 16)
FEW: dict[str, Any] = {"seconds": 0.5, "threads": 1}


class Bad(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, 1:]


def test_a_module_is_a_line_with_an_interval():
    table = attnbench.measure(nn.Linear(16, 16), X, seconds=30.0, threads=1)  # until it is precise
    (line,) = table.to_dict("records")
    assert (line["label"], line["outcome"], line["sessions"]) == ("layer", "measured", 1)
    assert line["params"] == 16 * 17
    assert line["macs"] == 12 * 16 * 16
    assert line["imgs_per_s_low"] < line["imgs_per_s"]
    assert list(table.columns[-3:]) == ["imgs_per_s", "imgs_per_s_low", "imgs_per_s_high"]


def test_modules_and_words_are_compared_in_one_block():
    layers: dict[str, nn.Module | str] = {"mine": nn.Linear(16, 16), "theirs": "msa"}
    table = attnbench.measure(layers, shape=(2, 16, 16), heads=2, baseline="theirs", full=True, **FEW)
    assert list(table["label"]) == ["msa", "mine"] or list(table["label"]) == ["mine", "msa"]
    mine, theirs = (table[table["label"] == name].to_dict("records")[0] for name in ("mine", "msa"))
    assert mine["speed_vs_baseline"] > 1
    assert {mine["baseline"], theirs["baseline"]} == {"msa"}
    assert (theirs["height"], theirs["heads"]) == (4, 2)


def test_maps_are_taken_as_maps():
    layer = nn.Conv2d(16, 16, 3, padding=1)
    table = attnbench.measure(layer, torch.randn(2, 16, 3, 5), full=True, **FEW)
    assert list(table["outcome"]) == ["measured"]
    assert (table.loc[0, "height"], table.loc[0, "width"]) == (3, 5)


def test_of_several_the_columns_end_in_speeds_and_verdicts():
    table = attnbench.measure({"a": nn.Linear(16, 16), "b": nn.Linear(16, 16)}, X, **FEW)
    assert list(table.columns[-1:]) == ["verdict"]
    assert {"speed_vs_baseline", "baseline", "params"} <= set(table.columns)
    full = attnbench.measure(nn.Linear(16, 16), X, full=True, **FEW)
    assert list(full.columns) == list(attnbench.load("results/table-iv-cpu").columns)


def test_a_module_and_its_process_stay_as_they_were():
    layer = nn.Linear(16, 16).double()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    attnbench.measure(layer, X.double(), **FEW)
    assert layer.training
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_a_layer_that_maps_no_tokens_is_a_line_with_its_reason():
    table = attnbench.measure({"bad": Bad(), "good": nn.Identity()}, X, **FEW)
    (bad,) = table[table["label"] == "bad"].to_dict("records")
    assert bad["outcome"] == "wrong"
    assert "the output has shape" in bad["reason"]


@pytest.mark.parametrize(
    ("layers", "how", "says"),
    [
        (nn.Identity(), {}, r"The input's shape is \[\]; give tokens \[B, N, C\]"),
        (nn.Identity(), {"shape": (2, 0, 8)}, r"The input's shape is \[2, 0, 8\]"),
        ({}, {"shape": (2, 4, 8)}, "There is no layer to measure"),
        (nn.Identity(), {"shape": (2, 4, 8), "mode": "train"}, "mode is 'train'; it must be one of 'inf"),
        (nn.Identity(), {"shape": (2, 4, 8), "layout": "NCHW"}, "layout is 'NCHW'"),
        (
            nn.Identity(),
            {"shape": (2, 4, 8), "baseline": "msa"},
            "baseline is 'msa'; it must be one of 'layer'",
        ),
        ("no-such", {"shape": (2, 4, 8)}, "No mechanism is called 'no-such'"),
        ("@linear", {"shape": (2, 4, 8)}, "'@linear', a set of layers; give each of them a name of its own"),
    ],
)
def test_what_has_no_meaning_is_an_error(layers: object, how: dict[str, object], says: str):
    with pytest.raises(AttnbenchError, match=says):
        attnbench.measure(layers, **how)  # type: ignore[arg-type]


@pytest.mark.slow
def test_words_alone_are_timed_in_processes_of_their_own(tmp_path: Path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "import os\nfrom torch import nn\nfrom attnbench import Mechanism\n"
        "class Layer(nn.Linear):\n    def forward(self, x):\n        assert os.getppid() != "
        f"{__import__('os').getppid()}\n        return super().forward(x)\n"
        "mine = Mechanism('mine', 'Mine', lambda geometry: Layer(geometry.dim, geometry.dim))\n"
    )
    table = attnbench.measure({"a": str(plugin), "b": "msa"}, shape=(2, 16, 16), heads=2, **FEW)
    assert list(table["outcome"]) == ["measured"] * 2
    assert set(table["sessions"]) == {2}


def test_importing_attnbench_loads_no_torch():
    code = (
        "import sys, attnbench; print({'torch', 'pandas', 'numpy'} & set(sys.modules), attnbench.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", attnbench.__version__]


def test_a_module_with_weights_that_returns_a_pair_is_told_of_it():
    layer = nn.MultiheadAttention(16, 2, batch_first=True)
    table = attnbench.measure(layer, X, layout="query, key, value", **FEW)
    assert list(table["outcome"]) == ["wrong"]
    assert table["reason"][0].startswith("returns a tuple of 2; return the tokens alone")
