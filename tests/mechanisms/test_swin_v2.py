"""Swin V2: lengths of queries do not matter, the scale has a limit, and windows shift as Swin's do."""

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from attnbench.measuring.cost import count
from mechanisms.swin_v2 import CosineWindowAttention, macs
from tests.references.swin_v2 import reference


@pytest.fixture(autouse=True)
def _in_float64() -> Iterator[None]:
    """For distances, too, that are made when a layer is built."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def layer_for(height: int, width: int, window: int = 3, shift: int = 0) -> CosineWindowAttention:
    """A layer under which no bias is zero and no two positions have the same bias."""
    layer = CosineWindowAttention(Geometry(24, 3, height, width), window, shift)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layer


def tokens_for(layer: CosineWindowAttention) -> Tensor:
    return torch.randn(2, layer.geometry.tokens, 24)


@torch.no_grad()
def test_the_length_of_queries_does_not_matter() -> None:
    layer = layer_for(6, 6)
    x = tokens_for(layer)
    before = layer(x)
    layer.qkv.weight[:24] *= 3
    layer.q_bias.mul_(3)
    torch.testing.assert_close(layer(x), before)


@torch.no_grad()
def test_a_network_that_answers_nothing_leaves_cosine_attention() -> None:
    layer = layer_for(3, 3)
    nn.init.zeros_(layer.position_bias.out.weight)
    x = tokens_for(layer)

    q, k, v = (x @ layer.qkv.weight.T).split(24, dim=-1)
    q, k, v = (each.unflatten(-1, (3, 8)).transpose(1, 2) for each in (q + layer.q_bias, k, v + layer.v_bias))
    cosines = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT
    heads = (cosines * layer.logit_scale.exp()).softmax(dim=-1) @ v

    torch.testing.assert_close(layer(x), layer.proj(heads.transpose(1, 2).flatten(2)))


@torch.no_grad()
def test_the_scale_is_at_most_a_hundred() -> None:
    layer = layer_for(3, 3)
    x = tokens_for(layer)
    below, limit, above = (layer_scaled(layer, math.log(scale))(x) for scale in (50, 100, 1000))
    torch.testing.assert_close(above, limit)
    assert not torch.allclose(below, limit)


def layer_scaled(layer: CosineWindowAttention, logit_scale: float) -> CosineWindowAttention:
    nn.init.constant_(layer.logit_scale, logit_scale)
    return layer


@pytest.mark.parametrize("size", [(6, 9), (7, 5), (2, 1)], ids=str)
def test_a_shift_equals_the_formula(size: tuple[int, int]) -> None:
    layer = layer_for(*size, shift=1)
    x = tokens_for(layer)
    expected = reference(layer, x, layer.geometry, window=3, shift=1)
    torch.testing.assert_close(layer(x), expected)


def test_a_window_of_one_token_gives_its_value() -> None:
    layer = layer_for(2, 3, window=1)
    x = tokens_for(layer)
    value = x @ layer.qkv.weight[48:].T + layer.v_bias
    torch.testing.assert_close(layer(x), layer.proj(value))


def test_padding_has_no_length_in_float16_either() -> None:
    layer = layer_for(4, 4).half()
    out = layer(tokens_for(layer).half())
    out.sum().backward()
    assert out.isfinite().all()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in layer.parameters())


def test_keys_have_no_bias() -> None:
    assert "bias" not in dict(layer_for(3, 3).qkv.named_parameters())
    with torch.device("meta"):
        layer = CosineWindowAttention(Geometry(768, 12, 14, 14), window=7, shift=3)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 2_369_292


@pytest.mark.parametrize(("window", "shift"), [(1, 0), (3, 2), (4, 0), (7, 3)])
def test_counts_what_the_closed_form_says_with_any_setting(window: int, shift: int) -> None:
    layer = layer_for(5, 7, window, shift)
    assert count(layer, layer.geometry).macs == macs(layer.geometry, window, shift)
