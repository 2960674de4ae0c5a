"""Manhattan attention: its limit of no decay, what decay and rotation depend on, and rows against columns."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from attnbench.attention import attend
from attnbench.measuring.cost import count
from mechanisms.masa import ManhattanAttention, macs, masa
from mechanisms.msa import MultiHeadSelfAttention
from tests.references.masa import reference

DIM, HEADS = 24, 3
NO_DECAY = 200.0  # 1 − 2^−200 is 1


def layer_for(height: int, width: int, **settings: Any) -> ManhattanAttention:
    """A layer whose convolution adds nothing."""
    geometry = Geometry(DIM, HEADS, height, width)
    layer = ManhattanAttention(geometry, **{**masa.settings, **settings})
    for parameter in layer.lepe.parameters():
        nn.init.zeros_(parameter)
    return layer


def without_rotation(layer: ManhattanAttention) -> ManhattanAttention:
    layer.cos.fill_(1)
    layer.sin.fill_(0)
    return layer


def tokens_for(layer: ManhattanAttention) -> Tensor:
    return torch.randn(2, layer.geometry.tokens, DIM)


def projected(layer: ManhattanAttention, x: Tensor) -> list[Tensor]:
    """q, k and v, each `[B, heads, N, D]`."""
    return [part(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (layer.q, layer.k, layer.v)]


def test_without_decay_rotation_and_convolution_it_is_self_attention() -> None:
    layer = without_rotation(layer_for(4, 5, decomposed=False, initial=NO_DECAY))
    twin = MultiHeadSelfAttention(layer.geometry)
    parts = (layer.q, layer.k, layer.v)
    twin.qkv.weight.data = torch.cat([part.weight for part in parts])
    twin.qkv.bias.data = torch.cat([part.bias for part in parts])
    twin.proj = layer.proj
    x = tokens_for(layer)
    torch.testing.assert_close(layer(x), twin(x))


def test_on_one_row_decomposed_is_full() -> None:
    decomposed, full = layer_for(1, 7), layer_for(1, 7, decomposed=False)
    full.load_state_dict(decomposed.state_dict())
    x = tokens_for(full)
    torch.testing.assert_close(decomposed(x), full(x))


def test_rows_come_before_columns() -> None:
    layer = without_rotation(layer_for(3, 4, initial=NO_DECAY))
    x = tokens_for(layer)
    q, k, v = (part.unflatten(2, (3, 4)) for part in projected(layer, x))  # [B, heads, H, W, D]
    u = attend(q, k, v).transpose(2, 3)
    out = attend(q.transpose(2, 3), k.transpose(2, 3), u).transpose(2, 3)
    torch.testing.assert_close(layer(x), layer.proj(out.flatten(2, 3).transpose(1, 2).flatten(2)))


def test_every_step_weighs_the_decay_of_the_head() -> None:
    layer = layer_for(3, 4, decomposed=False)
    weights = layer.decay.exp()
    gammas = torch.tensor([1 - 2.0**-2, 1 - 2.0**-4, 1 - 2.0**-6])
    torch.testing.assert_close(weights[:, 0, 0], torch.ones(3))
    torch.testing.assert_close(weights[:, 0, 6], gammas**3)  # a row and two columns away


def test_products_of_rotated_tokens_depend_on_how_far_apart_their_numbers_are() -> None:
    layer = layer_for(3, 4)
    pair = torch.randn(1, 1, 2, HEADS, 2, 4).expand(-1, 12, -1, -1, -1, -1)
    q, k = layer.rotated_rows(pair).squeeze(1).transpose(2, 3).flatten(1, 2)  # each [N, heads, D]
    products = torch.einsum("nhd,mhd->hnm", q, k)
    torch.testing.assert_close(products[:, 1:, 1:], products[:, :-1, :-1])
    assert not torch.allclose(products[:, 0, 1], products[:, 1, 0])


def test_a_fast_plane_turns_by_one_a_token_and_the_slowest_ten_thousand_times_slower() -> None:
    layer = layer_for(3, 4)
    torch.testing.assert_close(layer.sin[5, 0, 0, [0, -1]], torch.tensor([5.0, 5e-4]).sin())


def test_the_full_form_equals_the_formula() -> None:
    settings: dict[str, Any] = {"decomposed": False, "initial": 1.0, "spread": 3.0, "lepe": 3}
    layer = ManhattanAttention(Geometry(DIM, HEADS, 3, 4), **settings)
    x = tokens_for(layer)
    torch.testing.assert_close(layer(x), reference(layer, x, layer.geometry, **settings))


@pytest.mark.parametrize("decomposed", [True, False])
def test_costs_what_its_docstring_says_in_either_form(decomposed: bool) -> None:
    layer = layer_for(4, 7, decomposed=decomposed, lepe=3)
    promised = macs(layer.geometry, decomposed=decomposed, initial=2.0, spread=6.0, lepe=3)
    assert count(layer, layer.geometry).macs == promised


def test_heads_of_an_odd_number_of_channels_are_refused() -> None:
    with pytest.raises(UnsupportedGeometry, match="heads of 5 channels cannot be rotated in pairs"):
        masa.build(Geometry(15, 3, 4, 4), **masa.settings)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"initial": 0.0}, "initial is 0.0; it must be finite and above 0"),
        ({"spread": -1.0}, "spread is -1.0; it must be finite and at least 0"),
        ({"lepe": 4}, "lepe is 4; it must be odd"),
    ],
)
def test_meaningless_settings_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        layer_for(4, 4, **setting)
