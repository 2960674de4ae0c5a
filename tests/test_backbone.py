"""The contract's values for models: names, and which words a slot takes."""

from dataclasses import replace

import pytest
from torch import nn

from attnbench import AttnbenchError, Backbone, Geometry, Slot


def named(name: str) -> Backbone:
    return Backbone(
        name=name,
        title="[Any] title",
        build=lambda image, mixer: nn.Identity(),
        slots=lambda image: (),
        macs=lambda image: 0,
        filling="near",
        fillings={"near": {2: ("near:window=1", "far"), 3: ("near:window=1,shift=0",)}},
    )


def words(asked: str, stage: int, number: int = 1) -> str:
    return named("mine").words(asked, Slot(stage, number, Geometry(8, 1, 4, 4)))


@pytest.mark.parametrize("name", ["", "has space", "a/b", "a:b", "-a"])
def test_a_name_that_is_no_word_of_the_command_line_is_refused(name: str):
    with pytest.raises(AttnbenchError, match=r"A backbone is named .*, which is no word of the command line"):
        named(name)


@pytest.mark.parametrize("filling", [{0: ("far",)}, {3: ()}, {3: "far"}])
def test_a_filling_without_words_or_a_stage_is_refused(filling: dict[int, tuple[str, ...]]):
    with pytest.raises(AttnbenchError, match=r"mine: the filling of near has .* for stage .; it is a tuple"):
        replace(named("mine"), fillings={"near": filling})


def test_a_stage_that_no_filling_names_takes_what_was_asked_for():
    assert words("near:window=3", stage=1) == "near:window=3"
    assert words("other", stage=2) == "other"


def test_the_slots_of_a_stage_take_turns():
    assert [words("near", 2, number) for number in (1, 2, 3)] == ["near:window=1", "far", "near:window=1"]


def test_settings_that_a_filling_does_not_name_stay_as_asked_for():
    assert words("near:alpha=0.5,window=3", stage=2) == "near:alpha=0.5,window=1"
    assert words("near:shift=2,alpha=1", stage=3) == "near:shift=0,alpha=1,window=1"


def test_settings_of_one_mechanism_are_not_given_to_another():
    assert words("near:alpha=0.5", stage=2, number=2) == "far"


def test_a_setting_keeps_the_commas_of_its_value():
    assert words("near:kinds=a,b,alpha=1", stage=2) == "near:kinds=a,b,alpha=1,window=1"
