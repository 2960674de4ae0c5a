"""Layers of other packages as plugins of a few lines: the contract, and counts by hand.

They are skipped where their package is missing; `pip install -e '.[zoo]'` brings all.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest

from attnbench import Geometry
from attnbench.cases.places import opened
from attnbench.measuring.catalogue import chosen, entries
from attnbench.measuring.contract import examine

HERE = Path(__file__).parent
PACKAGES = {
    "torchvision": "torchvision",
    "vit": "vit_pytorch",
    "linformer": "linformer",
    "timm": "timm",
    "torch": "torch",
}
N, C, HEADS = 196, 768, 12
PROJECTIONS, SCORES, NORM = 4 * N * C**2, 2 * N**2 * C, 5 * N * C
BIASES = 4 * C
EXPECTED = {  # parameters, multiply-adds
    "timm_attention": (4 * C**2 + BIASES, PROJECTIONS + SCORES),
    "timm_swin": (4 * C**2 + BIASES + 27**2 * HEADS, PROJECTIONS + SCORES),
    "timm_swin_v2": (2_369_292, PROJECTIONS + SCORES + 27**2 * (2 * 512 + 512 * HEADS)),
    "timm_xca": (4 * C**2 + BIASES + HEADS, PROJECTIONS + 2 * N * C * C // HEADS),
    "timm_pvt_v2": (4_723_968, 419_559_168),
    "timm_focal_modulation": (2_429_188, 475_517_952),
    "timm_cascaded_group": (670_988, 140_618_240),
    "torchvision_swin": (4 * C**2 + BIASES + 13**2 * HEADS, 477_173_760),
    "vit_pytorch_attention": (4 * C**2 + C + 2 * C, PROJECTIONS + SCORES + NORM),
    "torch_multihead": (4 * C**2 + BIASES, PROJECTIONS + SCORES),
    "linformer_package": (4 * C**2 + C + 2 * N * 256, PROJECTIONS + 4 * N * 256 * C),
}


def file_of(name: str) -> Path:
    package = PACKAGES[name.partition("_")[0]]
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    return HERE / f"{name}.py"


def test_every_plugin_is_expected_and_has_at_most_five_lines():
    files = {path.stem: path for path in HERE.glob("*.py") if path.stem != "test_zoo"}
    assert files.keys() == EXPECTED.keys()
    lines = {name: [line for line in path.read_text().splitlines() if line] for name, path in files.items()}
    assert {name: len(each) for name, each in lines.items() if len(each) > 5} == {}


@pytest.mark.parametrize("name", EXPECTED)
def test_counts_are_those_by_hand(name: str):
    there = opened([str(file_of(name))], None)
    (entry,) = entries(chosen(there.registry, there.words), Geometry(C, HEADS, 14, 14))
    assert (entry.params, entry.macs) == EXPECTED[name]
    assert entry.uncounted == ()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_contract_is_kept(name: str):
    there = opened([str(file_of(name))], None)
    results = examine(there.registry.choose(there.one), [Geometry(96, 6, 14, 14)])
    assert [(each.question, each.detail) for each in results if each.passed is False] == []
