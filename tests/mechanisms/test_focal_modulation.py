"""Focal modulation: how far its levels see, and gates without activation."""

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from attnbench.measuring.cost import count
from mechanisms.focal_modulation import FocalModulation, macs

GEOMETRY = Geometry(8, 2, 3, 5)


def layer_for(geometry: Geometry, *, levels: int = 3, window: int = 3) -> FocalModulation:
    return FocalModulation(geometry, levels=levels, window=window).double()


def tokens_for(geometry: Geometry) -> Tensor:
    return torch.randn(2, geometry.tokens, geometry.dim, dtype=torch.float64)


def gates(layer: FocalModulation) -> list[Tensor]:
    """Weights and biases of the gates, a row a level, as views that can be written to."""
    return [parameter.data[-layer.parts[-1] :] for parameter in layer.proj_in.parameters()]


def test_near_levels_see_13_by_13_tokens_and_the_last_one_the_map() -> None:
    geometry = Geometry(4, 1, 15, 17)
    layer, x = layer_for(geometry), tokens_for(geometry).requires_grad_()
    centre = 7 * 17 + 8

    def seen() -> Tensor:
        return torch.autograd.grad(layer(x)[0, centre].sum(), x)[0][0].any(dim=-1).view(15, 17)

    assert seen().all()
    for parameter in gates(layer):
        parameter[-1] = 0
    reach = torch.zeros(15, 17, dtype=torch.bool)
    reach[1:14, 2:15] = True
    assert torch.equal(seen(), reach)


def test_the_last_level_is_the_same_for_all_tokens() -> None:
    layer, x = layer_for(GEOMETRY), tokens_for(GEOMETRY)
    weight, bias = gates(layer)
    weight.zero_()
    bias.copy_(torch.tensor([0, 0, 0, 1]))
    modulator = layer.gather(*layer.proj_in(x).split(layer.parts, dim=-1)[1:])
    torch.testing.assert_close(modulator, modulator[:, :1].expand_as(modulator))


def test_gates_have_no_activation() -> None:
    layer, x = layer_for(GEOMETRY), tokens_for(GEOMETRY)
    nn.init.zeros_(layer.mix.bias)
    nn.init.zeros_(layer.proj_out.bias)
    before = layer(x)
    for parameter in gates(layer):
        parameter *= -2
    torch.testing.assert_close(layer(x), -2 * before)


def test_closed_gates_leave_a_product_with_the_bias() -> None:
    layer, x = layer_for(GEOMETRY), tokens_for(GEOMETRY)
    for parameter in gates(layer):
        parameter.zero_()
    q = layer.proj_in(x)[..., : GEOMETRY.dim]
    torch.testing.assert_close(layer(x), layer.proj_out(q * layer.mix.bias))


@pytest.mark.parametrize(("levels", "window"), [(1, 1), (2, 5), (4, 3)])
def test_counts_what_the_closed_form_says_with_any_setting(levels: int, window: int) -> None:
    layer = FocalModulation(GEOMETRY, levels=levels, window=window)
    assert count(layer, GEOMETRY).macs == macs(GEOMETRY, levels, window)


def test_refuses_to_be_without_levels() -> None:
    with pytest.raises(InvalidSetting, match="focal-modulation: levels is 0; it must be at least 1"):
        FocalModulation(GEOMETRY, levels=0, window=3)


@pytest.mark.parametrize("window", [-1, 0, 4])
def test_refuses_kernels_without_a_centre(window: int) -> None:
    with pytest.raises(InvalidSetting, match=f"window is {window}; it must be an odd number"):
        FocalModulation(GEOMETRY, levels=3, window=window)
