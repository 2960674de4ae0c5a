"""The parts of backbones against their formulas in loops: outputs and gradients, in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.backbones._blocks import ConvFeedForward, PatchEmbedding
from mechanisms.backbones._merging import DeformableTokenMerging
from mechanisms.backbones.swin import PatchMerging
from tests.references.backbones import conv_feed_forward, deformable_merging, patch_embedding, patch_merging

MAPS = [(4, 4), (5, 3), (2, 7)]


def with_random_weights(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layer.double()


def outputs_and_gradients(f: Callable[[Tensor], Tensor], layer: nn.Module, x: Tensor) -> list[Tensor]:
    out = f(x)
    cotangent = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(1))
    return [out, *torch.autograd.grad(out, [x, *layer.parameters()], cotangent)]


def assert_same(layer: nn.Module, formula: Callable[[Tensor], Tensor], x: Tensor) -> None:
    pairs = zip(outputs_and_gradients(layer, layer, x), outputs_and_gradients(formula, layer, x), strict=True)
    for actual, expected in pairs:
        torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-10)


def tokens_for(geometry: Geometry) -> Tensor:
    return torch.randn(3, geometry.tokens, geometry.dim, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("size", MAPS, ids=str)
def test_a_perceptron_with_a_convolution_equals_its_formula(size: tuple[int, int]) -> None:
    geometry = Geometry(6, 1, *size)
    layer = with_random_weights(ConvFeedForward(geometry))
    assert_same(layer, lambda x: conv_feed_forward(layer, x, geometry), tokens_for(geometry))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", MAPS, ids=str)
def test_deformable_merging_equals_its_formula(size: tuple[int, int], training: bool) -> None:
    geometry = Geometry(6, 1, *size)
    layer = with_random_weights(DeformableTokenMerging(geometry)).train(training)
    assert_same(layer, lambda x: deformable_merging(layer, x, geometry), tokens_for(geometry))


@pytest.mark.parametrize("size", MAPS, ids=str)
def test_patch_merging_equals_its_formula(size: tuple[int, int]) -> None:
    geometry = Geometry(6, 1, *size)
    layer = with_random_weights(PatchMerging(geometry))
    assert_same(layer, lambda x: patch_merging(layer, x, geometry), tokens_for(geometry))


@pytest.mark.parametrize("size", [(8, 8), (9, 6), (3, 4)], ids=str)
def test_patch_embedding_equals_its_formula_on_any_image(size: tuple[int, int]) -> None:
    layer = with_random_weights(PatchEmbedding(size, dim=5, patch=4))
    images = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    assert_same(layer, lambda x: patch_embedding(layer, x, patch=4), images)
