"""Every mechanism equals a slow float64 reference of its formula: outputs and gradients, on any map."""

import importlib
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry
from attnbench.attention import KERNELS, use_kernel
from attnbench.cases.registry import Registry, discover
from attnbench.paper import published

LARGE = (14, 14)
MAPS = [LARGE, (7, 7), (9, 5), (4, 10), (3, 2)]
LATER = [*discover().sets["modern"], "t-msa", "msa-rpe"]
PLACES = [
    *((name, *size) for name in published() for size in MAPS),
    *((name, *size) for name in LATER for size in MAPS if size != LARGE),  # which their plain forms have
]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


@pytest.fixture(autouse=True)
def _in_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def with_random_weights(layer: nn.Module) -> nn.Module:
    """Weights under which no bias is zero and no norm is the identity."""
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layer


def outputs_and_gradients(f: Callable[[Tensor], Tensor], layer: nn.Module, x: Tensor) -> list[Tensor]:
    """f(x), and the gradients of a fixed random projection of it by x and by every parameter."""
    out = f(x)
    cotangent = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(1))
    return [out, *torch.autograd.grad(out, [x, *layer.parameters()], cotangent)]


@pytest.mark.parametrize(("name", "height", "width"), PLACES, ids=str)
def test_outputs_and_gradients_equal_the_formula(registry: Registry, name: str, height: int, width: int):
    geometry = Geometry(48, 6, height, width)
    mechanism = registry[name]
    reference = importlib.import_module(f"tests.references.{name.replace('-', '_')}").reference
    layer = with_random_weights(mechanism.build(geometry, **mechanism.settings))
    x = torch.randn(2, geometry.tokens, geometry.dim, requires_grad=True)

    formula = outputs_and_gradients(lambda x: reference(layer, x, geometry, **mechanism.settings), layer, x)

    for kernel in KERNELS:
        with use_kernel(kernel):
            ours = outputs_and_gradients(layer, layer, x)
        for actual, expected in zip(ours, formula, strict=True):
            torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-10)
