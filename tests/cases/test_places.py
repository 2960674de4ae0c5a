"""Mechanisms by the places where layers are: files, folders, classes of packages."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from attnbench import AttnbenchError, Geometry, InvalidSetting
from attnbench.cases.classes import OfClass, is_class, layout_of, mechanism_of
from attnbench.cases.places import is_place, opened
from attnbench.cases.registry import discover

PLUGIN = """
from torch import nn
from attnbench import Mechanism
one = Mechanism("one", "One", lambda geometry: nn.Linear(geometry.dim, geometry.dim))
two = Mechanism("two", "Two", lambda geometry: nn.Identity())
"""
GEOMETRY = Geometry(8, 2, 3, 4)


class ByUsualNames(nn.Module):
    def __init__(self, embed_dim: int, num_heads: int = 1, *, input_resolution: tuple[int, int]) -> None:
        super().__init__()
        self.given = (embed_dim, num_heads, input_resolution)

    def forward(self, x: Tensor, H: int, W: int) -> Tensor:  # noqa: N803
        return x * (H / W)


class WithAWindowOfItsOwn(nn.Module):
    def __init__(self, dim: int, window_size: int = 7) -> None:
        super().__init__()
        self.given = (dim, window_size)

    def forward(self, x: Tensor) -> Tensor:
        return x


class WantsMore(nn.Module):
    def __init__(self, dim: int, key_dim: int, ratio: float) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "plugin.py"
    path.write_text(PLUGIN)
    return path


@pytest.mark.parametrize("text", ["timm.layers:Attention", "torch.nn:Linear", "mine:Layer"])
def test_a_module_and_a_class_are_a_place(text: str):
    assert is_class(text)
    assert is_place(text)


@pytest.mark.parametrize("text", ["hilo:alpha=0.5", "hilo:alpha=0..1/0.1", "hilo", "@linear", "hilo:"])
def test_a_mechanism_with_settings_is_none(text: str):
    assert not is_class(text)
    assert not is_place(text)


def test_a_file_stands_for_all_in_it_and_is_a_plugin(plugin: Path):
    there = opened([str(plugin), "msa"], None)
    assert there.words == ["one", "two", "msa"]
    assert there.plugins == (str(plugin.resolve()),)
    assert {"one", "two", "msa"} <= there.registry.keys()


def test_a_plugin_that_is_named_twice_is_one(plugin: Path):
    there = opened([str(plugin)], [plugin])
    assert there.plugins == (str(plugin.resolve()),)


def test_where_one_mechanism_is_needed_a_file_must_hold_one(plugin: Path):
    with pytest.raises(AttnbenchError, match="There are 2 mechanisms there, one, two, where one is needed"):
        _ = opened([str(plugin)], None).one


def test_a_name_whose_file_is_here_says_so(plugin: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(plugin.parent)
    with pytest.raises(AttnbenchError, match=r"'plugin'. The file plugin.py is here: name that"):
        discover().choose("plugin")


def test_a_class_gets_channels_heads_and_the_map_by_their_usual_names():
    mechanism = mechanism_of(f"{__name__}:ByUsualNames")
    assert mechanism.build(GEOMETRY).given == (8, 2, (3, 4))
    assert mechanism.layout == "tokens, height, width"
    assert mechanism.name == "tests-by-usual-names"


def test_a_window_that_has_a_default_keeps_it():
    assert mechanism_of(f"{__name__}:WithAWindowOfItsOwn").build(GEOMETRY).given == (8, 7)


def test_a_constructor_that_wants_more_says_what_and_what_to_write():
    with pytest.raises(InvalidSetting, match=r"also wants key_dim, ratio\. Write a plugin of three lines"):
        OfClass(WantsMore, "mine:WantsMore")(GEOMETRY)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no_such_package:Layer", "the module 'no_such_package' cannot be imported"),
        ("torch.nn:NoSuchLayer", "torch.nn has no layer 'NoSuchLayer'"),
        ("torch.nn:functional", "torch.nn has no layer 'functional'"),
    ],
)
def test_what_is_no_layer_is_an_error(text: str, says: str):
    with pytest.raises(AttnbenchError, match=says):
        mechanism_of(text)


def test_a_class_is_found_by_workers_under_the_same_name():
    text = "torch.nn:MultiheadAttention"
    registry = discover([Path(text)])
    assert registry.of(Path(text)) == ["torch-multihead-attention"]
    assert registry["torch-multihead-attention"].layout == "query, key, value"
    assert registry.choose("torch-multihead-attention").source


@pytest.mark.parametrize(
    ("arguments", "layout"),
    [
        (["x"], "tokens"),
        (["x", "H", "W"], "tokens, height, width"),
        (["tokens", "feat_size"], "tokens, size"),
        (["query", "key", "value"], "query, key, value"),
        (["x", "mask"], None),
        ([], None),
    ],
)
def test_what_a_forward_is_called_with_tells_its_layout(arguments: list[str], layout: str | None):
    assert layout_of(arguments) == layout


def test_what_came_with_attnbench_is_told_from_what_did_not(plugin: Path):
    registry = discover([plugin])
    assert "msa" in registry.builtin
    assert not {"one", "two"} & registry.builtin
    assert torch.equal(registry["two"].build(GEOMETRY)(torch.ones(1)), torch.ones(1))
