"""The contract's values for models: names, and what fills them."""

from dataclasses import replace

import pytest
from torch import nn

from attnbench import AttnbenchError, Backbone


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


@pytest.mark.parametrize("name", ["", "has space", "a/b", "a:b", "-a"])
def test_a_name_that_is_no_word_of_the_command_line_is_refused(name: str):
    with pytest.raises(AttnbenchError, match=r"A backbone is named .*, which is no word of the command line"):
        named(name)


@pytest.mark.parametrize("filling", [{0: ("far",)}, {3: ()}, {3: "far"}])
def test_a_filling_without_words_or_a_stage_is_refused(filling: dict[int, tuple[str, ...]]):
    with pytest.raises(AttnbenchError, match=r"mine: the filling of near has .* for stage .; it is a tuple"):
        replace(named("mine"), fillings={"near": filling})
