"""Gated attention: an open gate is none, a closed one lets nothing through, and what either kind costs."""

import pytest
import torch
from torch import nn

from attnbench import Geometry, InvalidSetting
from attnbench.measuring.cost import count_on_meta
from mechanisms.gated import GatedAttention, macs
from mechanisms.msa import MultiHeadSelfAttention
from tests.references.gated import reference

GEOMETRY = Geometry(24, 3, 3, 4)
KINDS = ["element", "head"]


def layer_with_gates(gate: str, opening: float) -> GatedAttention:
    """A float64 layer whose gates are `opening` before the sigmoid, whatever the input."""
    layer = GatedAttention(GEOMETRY, gate).double()
    nn.init.zeros_(layer.qkv_gate.weight[72:])
    nn.init.constant_(layer.qkv_gate.bias[72:], opening)
    return layer


@pytest.mark.parametrize("gate", KINDS)
@torch.no_grad()
def test_an_open_gate_is_softmax_attention(gate: str) -> None:
    layer, x = layer_with_gates(gate, 50), torch.randn(2, 12, 24, dtype=torch.float64)
    msa = MultiHeadSelfAttention(GEOMETRY).double()
    msa.qkv.weight.copy_(layer.qkv_gate.weight[:72])
    msa.qkv.bias.copy_(layer.qkv_gate.bias[:72])
    msa.proj = layer.proj
    torch.testing.assert_close(layer(x), msa(x))


@pytest.mark.parametrize(("gate", "closed"), [("element", slice(72 + 8, 72 + 16)), ("head", slice(73, 74))])
@torch.no_grad()
def test_a_closed_gate_lets_nothing_of_its_head_through(gate: str, closed: slice) -> None:
    layer = layer_with_gates(gate, 0)
    layer.qkv_gate.bias[closed] = -1e4
    nn.init.eye_(layer.proj.weight)
    nn.init.zeros_(layer.proj.bias)
    out = layer(torch.randn(2, 12, 24, dtype=torch.float64)).unflatten(-1, (3, 8))
    assert (out != 0).all(dim=(0, 1, 3)).tolist() == [True, False, True]
    assert (out[:, :, 1] == 0).all()


def test_a_gate_for_every_head_equals_the_formula() -> None:
    layer, x = GatedAttention(GEOMETRY, "head").double(), torch.randn(2, 12, 24, dtype=torch.float64)
    torch.testing.assert_close(layer(x), reference(layer, x, GEOMETRY, "head"))


@pytest.mark.parametrize(
    ("gate", "params", "total"), [("element", 2_952_960, 637_034_496), ("head", 2_371_596, 523_235_328)]
)
def test_costs_what_the_gate_costs(gate: str, params: int, total: int) -> None:
    geometry = Geometry(768, 12, 14, 14)
    cost = count_on_meta(lambda: GatedAttention(geometry, gate), geometry)
    assert cost is not None
    assert (cost.params, cost.macs, macs(geometry, gate)) == (params, total, total)


def test_refuses_a_gate_that_it_does_not_know() -> None:
    with pytest.raises(InvalidSetting, match="gate is 'token'; it must be 'element'"):
        GatedAttention(GEOMETRY, "token")
