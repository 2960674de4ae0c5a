"""ReLU linear attention: its quadratic form, two scales, the order of channels, and queries of nothing."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from attnbench.measuring.cost import count
from mechanisms.relu_linear import ReluLinearAttention, attend_linearly, macs, relu_linear

GEOMETRY = Geometry(dim=24, heads=3, height=5, width=4)
D, EPS = 8, 1e-5


def layer_for(**settings: Any) -> ReluLinearAttention:
    return ReluLinearAttention(GEOMETRY, **{**relu_linear.settings, **settings}).double().eval()


@pytest.fixture
def layer() -> ReluLinearAttention:
    return layer_for()


@pytest.fixture
def qkv() -> Tensor:
    return torch.randn(2, GEOMETRY.tokens, 3 * GEOMETRY.dim, dtype=torch.float64)


def test_equals_attention_whose_weights_are_products_of_relus() -> None:
    q, k, v = torch.randn(3, 2, 6, 4, dtype=torch.float64).unbind()
    weights = q.relu() @ k.relu().mT  # 6 × 6
    expected = weights @ v / (weights.sum(dim=-1, keepdim=True) + EPS)
    torch.testing.assert_close(attend_linearly(q, k, v, EPS), expected)


def test_without_surroundings_both_scales_say_the_same(layer: ReluLinearAttention, qkv: Tensor) -> None:
    nn.init.zeros_(layer.around.weight)
    nn.init.ones_(layer.around.weight[:, :, 2, 2].detach())
    layer.mixed.weight.data = torch.eye(D, dtype=torch.float64).repeat(9, 1).view_as(layer.mixed.weight)
    first, second = layer.at_both_scales(qkv).chunk(2, dim=-1)
    torch.testing.assert_close(second, first)


def test_surroundings_mix_each_part_of_each_head_apart(layer: ReluLinearAttention, qkv: Tensor) -> None:
    other = qkv.clone()
    other[..., 4 * D] += 1  # of the second head's keys
    parts = zip(layer.surroundings(qkv), layer.surroundings(other), strict=True)
    changed = [(one != another).any(dim=-1).flatten(1).any(dim=-1).tolist() for one, another in parts]
    assert changed == [[False] * 3, [False, True, False], [False] * 3]


def test_projections_are_packed_head_by_head(layer: ReluLinearAttention, qkv: Tensor) -> None:
    q, k, v = qkv[..., 3 * D : 6 * D].split(D, dim=-1)
    out = layer.at_both_scales(qkv)
    torch.testing.assert_close(out[..., D : 2 * D], attend_linearly(q, k, v, EPS))


def test_a_query_without_positive_channels_gets_nothing(layer: ReluLinearAttention, qkv: Tensor) -> None:
    qkv[:, 3, :D] = -1
    out = layer.at_both_scales(qkv)
    assert torch.equal(out[:, 3, :D], torch.zeros(2, D, dtype=torch.float64))


def test_float16_holds_sums_beyond_its_range(layer: ReluLinearAttention, qkv: Tensor) -> None:
    assert layer.half().at_both_scales(100 * qkv.half()).isfinite().all()


def test_costs_what_its_docstring_says_with_another_scale() -> None:
    assert count(layer_for(scale=3), GEOMETRY).macs == macs(GEOMETRY, scale=3, eps=EPS)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"scale": 4}, "scale is 4; it must be odd"),
        ({"scale": -1}, "scale is -1; it must be odd and at least 1"),
        ({"eps": 0.0}, "eps is 0.0; it must be finite and above 0"),
    ],
)
def test_meaningless_settings_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        layer_for(**setting)
