"""QuadTree: where it equals softmax attention, what a level sees, and maps that its cells do not divide."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from mechanisms.msa import MultiHeadSelfAttention
from mechanisms.quadtree import QuadtreeAttention, macs, quadtree
from tests.references.quadtree import reference

COARSE, FINE = [0.0, -torch.inf], [-torch.inf, 0.0]  # level weights that leave one level of two


def layer_for(height: int, width: int, *, heads: int = 6, **settings: Any) -> QuadtreeAttention:
    """A float64 layer under which no bias is zero and no norm is the identity."""
    layer = QuadtreeAttention(Geometry(48, heads, height, width), **{**quadtree.settings, **settings})
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layer.double()


def without_lepe(layer: QuadtreeAttention) -> QuadtreeAttention:
    for parameter in layer.lepe.parameters():
        nn.init.zeros_(parameter)
    return layer


def weigh_levels(layer: QuadtreeAttention, level_weights: list[float]) -> None:
    layer.level_weights.data = torch.tensor(level_weights, dtype=torch.float64)


def tokens_for(layer: QuadtreeAttention) -> Tensor:
    return torch.randn(2, layer.geometry.tokens, layer.geometry.dim, dtype=torch.float64)


def softmax_attention(layer: QuadtreeAttention) -> nn.Module:
    """MSA with this layer's projections."""
    full = MultiHeadSelfAttention(layer.geometry).double()
    full.qkv.weight.data = torch.cat([layer.q.weight, layer.k.weight, layer.v.weight])
    full.qkv.bias.data = torch.cat([layer.q.bias, layer.k.bias, layer.v.bias])
    full.proj = layer.proj
    return full


@pytest.mark.parametrize(("height", "width"), [(8, 6), (7, 9), (1, 1), (2, 3), (1, 8)])
def test_fine_level_is_softmax_attention_if_all_coarse_keys_are_kept(height: int, width: int) -> None:
    layer = without_lepe(layer_for(height, width, keys=height * width))
    weigh_levels(layer, FINE)
    x = tokens_for(layer)
    torch.testing.assert_close(layer(x), softmax_attention(layer)(x))


@pytest.mark.parametrize(("height", "width"), [(8, 6), (7, 9)])
def test_one_level_is_softmax_attention(height: int, width: int) -> None:
    layer = without_lepe(layer_for(height, width, levels=1))
    x = tokens_for(layer)
    torch.testing.assert_close(layer(x), softmax_attention(layer)(x))


@pytest.mark.parametrize("keys", [1, 3, 8])
@pytest.mark.parametrize(
    ("levels", "height", "width"),
    [(1, 5, 3), (2, 5, 3), (3, 8, 8), (3, 5, 9), (3, 3, 13), (4, 9, 6), (4, 1, 1)],
)
def test_any_number_of_levels_equals_the_formula(levels: int, height: int, width: int, keys: int) -> None:
    layer = layer_for(height, width, levels=levels, keys=keys)
    x = tokens_for(layer)
    expected = reference(layer, x, layer.geometry, levels=levels, keys=keys)
    torch.testing.assert_close(layer(x), expected)


def test_coarse_level_is_the_same_for_the_tokens_of_a_cell() -> None:
    layer = layer_for(6, 8)
    weigh_levels(layer, COARSE)
    cells = layer(tokens_for(layer)).view(2, 3, 2, 4, 2, 48)
    torch.testing.assert_close(cells, cells[:, :, :1, :, :1].expand_as(cells))


def test_a_token_attends_to_the_tokens_of_as_many_cells_as_its_cell_keeps() -> None:
    layer = without_lepe(layer_for(6, 8, heads=1, keys=3))
    weigh_levels(layer, FINE)
    values: list[Tensor] = []
    layer.v.register_forward_hook(lambda _module, _inputs, output: values.append(output))

    token = layer(tokens_for(layer))[0, 5]
    (gradient,) = torch.autograd.grad(token.sum(), values)

    attended = (gradient != 0).any(dim=-1).view(2, 3, 2, 4, 2)
    cells = attended.all(dim=4).all(dim=2)
    assert attended.sum() == 4 * 3
    assert cells[0].sum() == 3


def test_more_keys_than_cells_are_all_cells() -> None:
    layer, greedy = layer_for(6, 7, keys=12), layer_for(6, 7, keys=1000)
    greedy.load_state_dict(layer.state_dict())
    x = tokens_for(layer)
    torch.testing.assert_close(greedy(x), layer(x))
    assert macs(layer.geometry, levels=2, keys=1000) == macs(layer.geometry, levels=2, keys=12)


def test_weights_of_one_map_fit_another() -> None:
    layer_for(7, 9, levels=3).load_state_dict(layer_for(8, 8, levels=3).state_dict())


def test_published_count_is_the_complete_one_without_the_fine_level() -> None:
    fine = 2 * 49 * 4 * 32 * 768
    assert macs(Geometry(768, 12, 14, 14), levels=2, keys=8) - fine == 613_251_072


@pytest.mark.parametrize("setting", ["levels", "keys"])
def test_meaningless_settings_are_refused(setting: str) -> None:
    with pytest.raises(InvalidSetting, match=f"quadtree: {setting} is 0; it must be at least 1"):
        layer_for(6, 8, **{setting: 0})
