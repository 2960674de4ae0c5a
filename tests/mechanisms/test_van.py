"""VAN's layer: its residual, its gate, and how far it sees."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.van import LargeKernelAttention


def layer_for(geometry: Geometry) -> LargeKernelAttention:
    return LargeKernelAttention(geometry).double()


def tokens_for(geometry: Geometry) -> Tensor:
    return torch.randn(2, geometry.tokens, geometry.dim, dtype=torch.float64)


def test_is_the_identity_when_the_last_projection_is_zero() -> None:
    geometry = Geometry(8, 2, 4, 7)
    layer, x = layer_for(geometry), tokens_for(geometry)
    nn.init.zeros_(layer.proj_2.weight)
    nn.init.zeros_(layer.proj_2.bias)
    assert torch.equal(layer(x), x)


def test_is_a_perceptron_with_exact_gelu_when_the_gate_is_open() -> None:
    geometry = Geometry(8, 2, 4, 7)
    layer, x = layer_for(geometry), tokens_for(geometry)
    nn.init.zeros_(layer.point.weight)
    nn.init.ones_(layer.point.bias)
    u = layer.proj_1(x)
    gelu = u * (1 + torch.erf(u / 2**0.5)) / 2
    torch.testing.assert_close(layer(x), layer.proj_2(gelu) + x)


def test_a_token_sees_23_by_23_tokens() -> None:
    geometry = Geometry(4, 1, 25, 27)
    x = tokens_for(geometry).requires_grad_()
    centre = 12 * 27 + 13

    layer_for(geometry)(x)[0, centre].sum().backward()

    assert x.grad is not None
    reach = torch.zeros(25, 27, dtype=torch.bool)
    reach[1:24, 2:25] = True
    assert torch.equal(x.grad[0].any(dim=-1).view(25, 27), reach)


COMPILED = """
import torch
from attnbench import Geometry
from mechanisms.van import LargeKernelAttention
layer, x = LargeKernelAttention(Geometry(96, 12, 14, 14)), torch.randn(2, 196, 96)
with torch.inference_mode():
    torch.testing.assert_close(torch.compile(layer)(x), layer(x))
"""


@pytest.mark.slow
def test_compiled_it_computes_the_same() -> None:
    subprocess.run([sys.executable, "-c", COMPILED], check=True)  # what it guards against ends the process
