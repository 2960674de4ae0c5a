"""MILA's limiting case, and over which channels its positions run."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, UnsupportedGeometry
from mechanisms.mila import MambaInspiredLinearAttention


def layer_for(geometry: Geometry) -> MambaInspiredLinearAttention:
    return MambaInspiredLinearAttention(geometry).double()


def tokens_for(geometry: Geometry) -> Tensor:
    return torch.randn(2, geometry.tokens, geometry.dim, dtype=torch.float64)


def without_neighbours(layer: MambaInspiredLinearAttention) -> MambaInspiredLinearAttention:
    """Leave the convolutions what they do to the token itself, and the last projection nothing."""
    for convolution in (layer.depthwise, layer.lepe):
        kernel = convolution.weight.data
        kernel[:, :, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
    nn.init.eye_(layer.proj.weight)
    return layer


def test_a_token_alone_attends_to_itself_alone() -> None:
    geometry = Geometry(24, 3, 1, 1)
    layer, x = layer_for(geometry), tokens_for(geometry)

    u = F.silu(layer.depthwise(layer.value(x).mT.unsqueeze(-1)))  # [B, C, 1, 1]
    mixed = (u + layer.lepe(u)).flatten(2).mT
    torch.testing.assert_close(layer(x), layer.proj(mixed * F.silu(layer.gate(x))), rtol=1e-5, atol=1e-6)


def test_the_first_half_of_the_channels_sees_rows_and_the_second_columns() -> None:
    geometry = Geometry(24, 2, 4, 5)
    layer, x = without_neighbours(layer_for(geometry)), tokens_for(geometry)
    other = torch.tensor([3, 0, 4, 1, 2])

    out = layer(x).unflatten(1, (4, 5))
    moved = layer(x.unflatten(1, (4, 5))[:, :, other].flatten(1, 2)).unflatten(1, (4, 5))
    same = torch.isclose(moved, out[:, :, other]).all(dim=0).all(dim=0).all(dim=0)
    assert same.tolist() == [True] * 12 + [False] * 12


def test_what_divides_is_not_rotated() -> None:
    geometry = Geometry(24, 3, 1, 5)
    layer, x = layer_for(geometry), tokens_for(geometry)
    nn.init.zeros_(layer.qk.weight)  # all features are 1, so only angles tell the tokens apart
    nn.init.zeros_(layer.qk.bias)
    y = layer.attend_linearly(layer.qk(x), x, torch.zeros_like(x))
    relative = (layer.cos[:, :1] * layer.cos + layer.sin[:, :1] * layer.sin).mean(dim=-1)  # [H, N]
    expected = torch.einsum("hn,bnhd->bhd", relative, x.unflatten(-1, (3, -1))) / 5
    torch.testing.assert_close(y[:, 0], expected.flatten(1), rtol=1e-5, atol=1e-6)


def test_channels_that_have_no_halves_of_pairs_are_refused() -> None:
    with pytest.raises(UnsupportedGeometry, match="halves of 18 channels; choose a --dim that 4 divides"):
        layer_for(Geometry(18, 3, 4, 4))


def test_heads_that_would_part_a_pair_are_refused() -> None:
    with pytest.raises(UnsupportedGeometry, match="mila: heads of 3 channels would part a pair"):
        layer_for(Geometry(24, 8, 4, 4))
