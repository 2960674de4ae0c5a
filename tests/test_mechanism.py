"""The contract's values."""

from dataclasses import replace

import pytest
from torch import nn

from attnbench import Geometry, Mechanism, Paper, UnsupportedGeometry
from attnbench.errors import AttnbenchError
from attnbench.mechanism import Setting


def test_a_geometry_knows_its_tokens_and_head_dim():
    geometry = Geometry(dim=768, heads=12, height=14, width=28)
    assert (geometry.tokens, geometry.head_dim, geometry.size) == (392, 64, "14x28")


def test_heads_that_do_not_divide_the_channels_are_for_the_mechanism_to_refuse():
    geometry = Geometry(192, 5, 14, 14)
    message = "5 heads do not divide 192 channels; choose --heads so that they do"
    with pytest.raises(UnsupportedGeometry, match=message):
        geometry.require_shared_channels()
    with pytest.raises(UnsupportedGeometry, match=message):
        _ = geometry.head_dim


@pytest.mark.parametrize("numbers", [(0, 1, 1, 1), (8, 0, 1, 1), (8, 1, 0, 1), (8, 1, 1, -3)])
def test_sizes_below_one_are_refused(numbers: tuple[int, int, int, int]):
    with pytest.raises(AttnbenchError, match="must be at least 1"):
        Geometry(*numbers)


def named(name: str) -> Mechanism:
    return Mechanism(
        name, "[Any] title", lambda geometry: nn.Identity(), lambda geometry: 0, Paper("", "", 2026, "")
    )


@pytest.mark.parametrize("name", ["", "has space", "[bold]", "a:b", "a,b", "a/b", "-a", ".a", "mine\n"])
def test_a_name_that_is_no_word_of_the_command_line_is_refused(name: str):
    with pytest.raises(AttnbenchError, match="is no word of the command line; give it letters, digits"):
        named(name)


@pytest.mark.parametrize("name", ["msa", "2d-window", "My_layer.v2"])
def test_letters_digits_and_three_signs_make_a_name(name: str):
    assert named(name).name == name


@pytest.mark.parametrize("value", [(7, 7), None, [1], 2j])
def test_a_setting_that_no_command_line_can_give_is_refused(value: object):
    with pytest.raises(
        AttnbenchError, match=r"mine: the setting window is .*; a setting is true or false, a"
    ):
        replace(named("mine"), settings={"window": value})  # type: ignore[dict-item]


def test_truth_numbers_and_texts_are_settings():
    settings: dict[str, Setting] = {"flip": False, "window": 7, "gain": 1.0, "kind": "7,7"}
    assert replace(named("mine"), settings=settings).settings == settings


def test_a_family_is_one_of_those_that_tables_know():
    assert replace(named("mine"), family="linear").family == "linear"
    with pytest.raises(AttnbenchError, match="mine: the family is 'liner'; it is one of softmax, windows"):
        replace(named("mine"), family="liner")
