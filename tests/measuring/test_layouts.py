"""A layer of any layout becomes one that maps tokens to tokens."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench import AttnbenchError, Geometry, Mechanism
from attnbench.measuring.layouts import LAYOUTS, InLayout, layer_of

GEOMETRY = Geometry(6, 2, 2, 3)
X = torch.arange(2.0 * 6 * 6).view(2, 6, 6)


class Sees(nn.Module):
    """Keeps what it is called with, and returns what it is told to."""

    def __init__(self, returned: Callable[..., Any] = lambda x, *_: x) -> None:
        super().__init__()
        self.returned = returned
        self.seen: tuple[Any, ...] = ()

    def forward(self, *given: Any) -> Any:
        self.seen = given
        return self.returned(*given)


def mechanism(layer: nn.Module, **how: Any) -> Mechanism:
    return replace(Mechanism("mine", "Mine", lambda geometry: layer), **how)


def test_a_layer_of_tokens_is_itself():
    layer = nn.Identity()
    assert layer_of(mechanism(layer), GEOMETRY, {}) is layer


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_gives_back_what_it_takes_maps_tokens_to_the_same_tokens(layout: str):
    layer = Sees()
    assert torch.equal(layer_of(mechanism(layer, layout=layout), GEOMETRY, {})(X), X)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_neither_map_nor_tokens_comes_back_as_it_is(layout: str):
    scores = torch.zeros(2, 10)
    layer = layer_of(mechanism(Sees(lambda *_: scores), layout=layout), GEOMETRY, {})
    assert layer(X) is scores


def test_sides_size_and_the_tokens_themselves_are_given():
    for layout, rest in (("tokens, height, width", (2, 3)), ("tokens, size", ((2, 3),))):
        layer = Sees()
        layer_of(mechanism(layer, layout=layout), GEOMETRY, {})(X)
        assert layer.seen[1:] == rest
    layer_of(mechanism(layer := Sees(), layout="query, key, value"), GEOMETRY, {})(X)
    assert all(given is X for given in layer.seen)


def test_token_r_w_plus_c_stands_in_row_r_and_column_c_of_a_map():
    last, first = Sees(), Sees()
    layer_of(mechanism(last, layout="channels last"), GEOMETRY, {})(X)
    layer_of(mechanism(first, layout="channels first"), GEOMETRY, {})(X)
    assert torch.equal(last.seen[0][1, 1, 2], X[1, 5])
    assert torch.equal(first.seen[0][1, :, 1, 2], X[1, 5])


@pytest.mark.parametrize(
    ("layout", "copies"),
    [("channels first", False), ("channels last", False), ("channels first, contiguous", True)],
)
def test_a_map_is_a_view_of_the_tokens_unless_it_must_be_contiguous(layout: str, copies: bool):
    layer = Sees()
    layer_of(mechanism(layer, layout=layout), GEOMETRY, {})(X)
    assert (layer.seen[0].data_ptr() != X.data_ptr()) is copies
    assert layer.seen[0].is_contiguous(memory_format=torch.channels_last) is (layout == "channels first")


@pytest.mark.parametrize(
    ("returned", "output"),
    [(lambda x: (x, None), 0), (lambda x: [None, x], 1), (lambda x: {"tokens": x}, "tokens")],
)
def test_of_several_things_one_is_taken(returned: Callable[[Tensor], Any], output: int | str):
    layer = layer_of(mechanism(Sees(returned), output=output), GEOMETRY, {})
    assert layer(X) is X


def test_what_is_no_tensor_goes_on_to_whoever_asks_what_it_is():
    layer = layer_of(mechanism(Sees(lambda x: (x, x)), layout="channels last"), GEOMETRY, {})
    assert isinstance(layer(X), tuple)


def test_prefix_tokens_are_there_for_the_layer_alone():
    layer = Sees()
    out = layer_of(mechanism(layer, prefix=2), GEOMETRY, {})(X)
    assert layer.seen[0].shape == (2, 8, 6)
    assert torch.equal(out, X)


def test_prefix_tokens_move_with_their_layer_and_are_no_weights():
    layer = layer_of(mechanism(nn.Identity(), prefix=1), GEOMETRY, {})
    assert isinstance(layer, InLayout)
    assert layer(X.double()).dtype is torch.float64
    assert not list(layer.parameters())
    assert not layer.state_dict()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"layout": "NCHW"}, "mine: the layout is 'NCHW'; it is one of 'tokens', "),
        ({"layout": "channels last", "prefix": 1}, "mine: prefix is 1 in the layout 'channels last'"),
        ({"prefix": -1}, "mine: prefix is -1"),
    ],
)
def test_a_layout_that_nobody_knows_and_a_prefix_of_maps_are_refused(how: dict[str, Any], says: str):
    with pytest.raises(AttnbenchError, match=says):
        mechanism(nn.Identity(), **how)
