"""Polarity Linear: which values unlike signs reach, its powers, and its gate."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from mechanisms.polarity_linear import PolarityLinearAttention, polarity_linear

GEOMETRY = Geometry(24, 3, 3, 4)
C = GEOMETRY.dim


def layer_for(geometry: Geometry = GEOMETRY, **settings: Any) -> PolarityLinearAttention:
    """A layer without convolution, projection and gate."""
    layer = PolarityLinearAttention(geometry, **{**polarity_linear.settings, **settings}).double()
    for parameter in layer.depthwise.parameters():
        nn.init.zeros_(parameter)
    nn.init.eye_(layer.proj.weight)
    nn.init.zeros_(layer.proj.bias)
    nn.init.zeros_(layer.qkvg.weight.data[3 * C :])
    nn.init.ones_(layer.qkvg.bias.data[3 * C :])
    return layer


def with_constant(part: int, layer: PolarityLinearAttention, value: float) -> PolarityLinearAttention:
    """Give all tokens this query (0) or key (1), whatever they are."""
    rows = slice(part * C, (part + 1) * C)
    nn.init.zeros_(layer.qkvg.weight.data[rows])
    nn.init.constant_(layer.qkvg.bias.data[rows], value)
    return layer


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, GEOMETRY.tokens, C, dtype=torch.float64)


def halves_of_values(layer: PolarityLinearAttention, x: Tensor) -> tuple[Tensor, Tensor]:
    """v₁ and v₂, each `[B, N, H, D/2]`."""
    first, second = layer.qkvg(x)[..., 2 * C : 3 * C].unflatten(-1, (3, 2, -1)).unbind(-2)
    return first, second


def test_like_signs_reach_the_first_half_of_the_values_and_unlike_signs_the_second(x: Tensor) -> None:
    layer = with_constant(1, with_constant(0, layer_for(), 1.0), 0.0)
    signs = torch.tensor([1.0, -1.0, -1.0]).repeat(4)  # of the keys of the twelve tokens
    layer.positions.data = signs[:, None].expand(-1, C).double()

    first, second = halves_of_values(layer, x)
    y_1, y_2 = first[:, signs > 0].mean(dim=1), second[:, signs < 0].mean(dim=1)  # each [B, H, D/2]
    expected = torch.cat([y_1, y_2], dim=-1).flatten(1).unsqueeze(1).expand(-1, 12, -1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_powers_start_at_three_and_end_at_one_and_alpha_more() -> None:
    layer = layer_for()
    heads = torch.linspace(-2, 2, C, dtype=torch.float64).view(1, 3, 1, 8)
    cubes = torch.cat([heads.clamp(min=0) ** 3, (-heads).clamp(min=0) ** 3], dim=-1)
    torch.testing.assert_close(layer.polar(heads), cubes)

    nn.init.constant_(layer.power, 1e3)
    torch.testing.assert_close(layer.polar(heads).sum(dim=-1), heads.abs().pow(5).sum(dim=-1))


def test_queries_and_keys_are_divided_by_the_softplus_of_the_scale(x: Tensor) -> None:
    layer = layer_for()
    layer.positions.data.normal_()
    before = layer(x)
    nn.init.constant_(layer.scale, 2.0)
    factor = math.log1p(math.exp(2.0)) / math.log(2.0)
    for tensor in (layer.qkvg.weight.data[: 2 * C], layer.qkvg.bias.data[: 2 * C], layer.positions.data):
        tensor *= factor
    torch.testing.assert_close(layer(x), before)


def test_keys_that_are_alike_leave_the_mean_of_the_values(x: Tensor) -> None:
    layer = with_constant(1, with_constant(0, layer_for(), 1.0), 0.7)
    layer.qkvg.bias.data[:C:2] = -1.0
    mean = layer.qkvg(x)[..., 2 * C : 3 * C].mean(dim=1, keepdim=True)
    torch.testing.assert_close(layer(x), mean.expand_as(x), rtol=1e-5, atol=1e-6)


def test_the_heads_share_the_filters_of_the_convolution(x: Tensor) -> None:
    layer = layer_for(kernel=3)
    before = layer(x)
    nn.init.normal_(layer.depthwise.weight)
    added = (layer(x) - before).unflatten(-1, (3, -1))  # [B, N, H, D]
    v = layer.qkvg(x)[..., 2 * C : 3 * C].unflatten(-1, (3, -1))
    for head in range(3):
        image = v[:, :, head].mT.unflatten(-1, (3, 4))
        torch.testing.assert_close(added[:, :, head], layer.depthwise(image).flatten(2).mT)


def test_the_gate_may_turn_signs(x: Tensor) -> None:
    layer = layer_for()
    before = layer(x)
    nn.init.constant_(layer.qkvg.bias.data[3 * C :], -2.0)
    torch.testing.assert_close(layer(x), -2 * before)


def test_heads_whose_values_have_no_halves_are_refused() -> None:
    with pytest.raises(UnsupportedGeometry, match="values of 3 channels have no halves"):
        layer_for(Geometry(24, 8, 3, 4))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -1.0}, r"alpha is -1.0; it must be finite and at least 0"),
        ({"kernel": 4}, "kernel is 4; it must be odd and at least 1"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        layer_for(**settings)
