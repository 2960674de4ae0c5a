"""Focused linear attention: its feature map, its quadratic form, and what the heads share."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from mechanisms.focused_linear import FocusedLinearAttention, focused_linear

GEOMETRY = Geometry(dim=24, heads=3, height=5, width=4)


def layer_for(**settings: Any) -> FocusedLinearAttention:
    return FocusedLinearAttention(GEOMETRY, **{**focused_linear.settings, **settings}).double()


def without_convolution(layer: FocusedLinearAttention) -> FocusedLinearAttention:
    for parameter in layer.local.parameters():
        nn.init.zeros_(parameter)
    return layer


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, GEOMETRY.tokens, GEOMETRY.dim, dtype=torch.float64)


def in_heads(tokens: Tensor) -> Tensor:
    return tokens.unflatten(-1, (GEOMETRY.heads, -1)).transpose(1, 2)


def test_a_power_of_one_is_attention_with_weights_of_relu(x: Tensor) -> None:
    layer = without_convolution(layer_for(power=1))
    q, k, v = (in_heads(part) for part in layer.qkv(x).chunk(3, dim=-1))
    weights = (q.relu() + 1e-6) @ (k.relu() + 1e-6).mT / F.softplus(torch.zeros(())) ** 2  # of N × N
    weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-6 * GEOMETRY.tokens)
    torch.testing.assert_close(layer(x), layer.proj((weights @ v).transpose(1, 2).flatten(2)))


def test_keys_that_are_all_the_same_leave_the_mean_of_the_values(x: Tensor) -> None:
    layer = without_convolution(layer_for())
    nn.init.zeros_(layer.qkv.weight[24:48].detach())
    nn.init.ones_(layer.qkv.bias[24:48].detach())
    mean = layer.qkv(x)[..., 48:].mean(dim=1, keepdim=True)
    torch.testing.assert_close(layer(x), layer.proj(mean).expand_as(x), rtol=1e-3, atol=1e-4)  # for ε


@pytest.mark.parametrize("power", [1, 3, 4])
def test_focusing_keeps_the_length_of_a_token_over_all_its_heads(x: Tensor, power: int) -> None:
    lengths = layer_for(power=power).focus(x).norm(dim=-1)
    torch.testing.assert_close(lengths, ((x.relu() + 1e-6) / F.softplus(torch.zeros(()))).norm(dim=-1))


def test_a_high_power_leaves_the_largest_channel(x: Tensor) -> None:
    focused = layer_for(power=400).focus(x / x.amax(dim=-1, keepdim=True))
    assert torch.equal(focused.argmax(dim=-1), x.argmax(dim=-1))
    torch.testing.assert_close(focused.amax(dim=-1), focused.norm(dim=-1), rtol=0.05, atol=0)


def test_the_heads_share_the_convolution(x: Tensor) -> None:
    layer = layer_for()
    v = in_heads(x).flatten(0, 1).mT.unflatten(2, (5, 4))  # [B · heads, D, H, W]
    expected = layer.local(v).flatten(2).mT.unflatten(0, (2, 3)).transpose(1, 2).flatten(2)
    torch.testing.assert_close(layer.local_values(x), expected)


def test_the_position_is_part_of_the_keys(x: Tensor) -> None:
    layer = layer_for()
    shifted = layer_for()
    shifted.load_state_dict(layer.state_dict())
    shifted.position.data += 0.5
    layer.qkv.bias.data[24:48] += 0.5
    torch.testing.assert_close(shifted(x), layer(x))


def test_float16_holds_cubes_and_sums_beyond_its_range(x: Tensor) -> None:
    layer = layer_for().half()
    assert layer(100 * x.half()).isfinite().all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"power": 0}, "power is 0; it must be at least 1"),
        ({"kernel": 4}, "kernel is 4; it must be odd"),
        ({"kernel": -1}, "kernel is -1; it must be odd and at least 1"),
    ],
)
def test_meaningless_settings_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        layer_for(**setting)
