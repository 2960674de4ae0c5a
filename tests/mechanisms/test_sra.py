"""SRA's limiting cases, what its strided convolution leaves out, and what it refuses."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from mechanisms.msa import msa
from mechanisms.sra import SpatialReductionAttention, macs

GEOMETRY = Geometry(dim=24, heads=3, height=5, width=7)


def msa_with_weights_of(layer: SpatialReductionAttention) -> nn.Module:
    twin = msa.build(layer.geometry)
    packed = (torch.cat(pair) for pair in zip(layer.q.parameters(), layer.kv.parameters(), strict=True))
    twin.load_state_dict(dict(zip(twin.state_dict(), [*packed, *layer.proj.parameters()], strict=True)))
    return twin


def test_a_reduction_of_one_is_self_attention() -> None:
    layer = SpatialReductionAttention(GEOMETRY, reduction=1)
    x = torch.randn(2, GEOMETRY.tokens, GEOMETRY.dim)
    torch.testing.assert_close(layer(x), msa_with_weights_of(layer)(x))


def test_a_reduction_of_one_costs_what_self_attention_costs() -> None:
    layers = SpatialReductionAttention(GEOMETRY, reduction=1), msa.build(GEOMETRY)
    reduced, full = (sum(parameter.numel() for parameter in layer.parameters()) for layer in layers)
    assert reduced == full
    assert macs(GEOMETRY, reduction=1) == msa.closed_form(GEOMETRY)


def test_a_patch_as_large_as_the_map_gives_every_token_the_same_value() -> None:
    geometry = Geometry(dim=24, heads=3, height=4, width=4)
    layer = SpatialReductionAttention(geometry, reduction=4)
    x = torch.randn(2, geometry.tokens, geometry.dim)

    patch = F.conv2d(x.mT.unflatten(-1, (4, 4)), layer.reduce.weight, layer.reduce.bias).flatten(1)  # [B, C]
    _, value = layer.kv(layer.norm(patch)).chunk(2, dim=-1)
    torch.testing.assert_close(layer(x), layer.proj(value).unsqueeze(1).expand_as(x))


def test_rows_and_columns_that_fill_no_patch_are_in_no_key() -> None:
    layer = SpatialReductionAttention(GEOMETRY, reduction=2)
    left_over = torch.zeros(5, 7, dtype=torch.bool)
    left_over[4, :] = left_over[:, 6] = True
    x = torch.randn(1, 5, 7, GEOMETRY.dim)
    changed = torch.where(left_over.unsqueeze(-1), torch.randn_like(x), x)

    before, after = (layer(tokens.flatten(1, 2)).unflatten(1, (5, 7)) for tokens in (x, changed))
    torch.testing.assert_close(after[:, ~left_over], before[:, ~left_over])
    assert not torch.isclose(after[:, left_over], before[:, left_over]).all(dim=-1).any()


@pytest.mark.parametrize(("height", "width"), [(1, 7), (7, 1)])
def test_a_map_without_a_whole_patch_is_refused(height: int, width: int) -> None:
    with pytest.raises(
        UnsupportedGeometry, match=f"{height}x{width} holds no patch of 2x2 .* smaller reduction"
    ):
        SpatialReductionAttention(Geometry(24, 3, height, width), reduction=2)


def test_a_reduction_below_one_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="sra: reduction is 0; it must be at least 1"):
        SpatialReductionAttention(GEOMETRY, reduction=0)
