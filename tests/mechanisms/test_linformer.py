"""Linformer's limiting cases, and that keys and values are mixed by parameters of their own."""

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from mechanisms.linformer import LinformerAttention
from mechanisms.msa import msa

GEOMETRY = Geometry(dim=24, heads=3, height=5, width=4)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, GEOMETRY.tokens, GEOMETRY.dim)


def msa_with_weights_of(layer: LinformerAttention) -> nn.Module:
    twin = msa.build(GEOMETRY)
    packed = (torch.cat(pair) for pair in zip(layer.query.parameters(), layer.kv.parameters(), strict=True))
    twin.load_state_dict(dict(zip(twin.state_dict(), [*packed, *layer.proj.parameters()], strict=True)))
    return twin


def test_identities_for_reductions_make_it_self_attention(x: Tensor) -> None:
    layer = LinformerAttention(GEOMETRY, rank=GEOMETRY.tokens)
    nn.init.eye_(layer.reduce_k)
    nn.init.eye_(layer.reduce_v)
    torch.testing.assert_close(layer(x), msa_with_weights_of(layer)(x))


def test_the_order_of_the_reduced_tokens_does_not_matter(x: Tensor) -> None:
    layer = LinformerAttention(GEOMETRY, rank=7)
    before = layer(x)
    order = torch.randperm(7)
    layer.reduce_k.data, layer.reduce_v.data = layer.reduce_k[:, order], layer.reduce_v[:, order]
    torch.testing.assert_close(layer(x), before)


def test_keys_of_zero_leave_the_mean_of_the_reduced_values(x: Tensor) -> None:
    layer = LinformerAttention(GEOMETRY, rank=7)
    nn.init.zeros_(layer.reduce_k)
    _, v = layer.kv(x).chunk(2, dim=-1)
    mean = torch.einsum("nr,bnc->bc", layer.reduce_v, v) / 7
    torch.testing.assert_close(layer(x), layer.proj(mean).unsqueeze(1).expand_as(x))


def test_reductions_start_uniform_within_the_inverse_root_of_the_rank() -> None:
    layer = LinformerAttention(Geometry(dim=24, heads=3, height=20, width=20), rank=16)
    for reduction in (layer.reduce_k.detach(), layer.reduce_v.detach()):
        assert reduction.max() == pytest.approx(1 / 4, rel=0.01)
        assert reduction.min() == pytest.approx(-1 / 4, rel=0.01)
        assert reduction.std() == pytest.approx(1 / 4 / 3**0.5, rel=0.02)


def test_a_rank_below_one_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="linformer: rank is 0; it must be at least 1"):
        LinformerAttention(GEOMETRY, rank=0)
