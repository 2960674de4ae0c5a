"""Backbones filled with mechanisms, as several tests build and count them."""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from attnbench import Backbone, Geometry, Slot
from attnbench.cases.registry import Registry, discover
from attnbench.measuring.cost import Count, count
from attnbench.measuring.layers import without_memory
from attnbench.mechanism import Setting
from mechanisms.backbones._blocks import Image

PLAIN = Path(__file__).parent / "plain"


@cache
def registry() -> Registry:
    """The built-in mechanisms and their plain transcriptions."""
    return discover([PLAIN])


def filled(backbone: Backbone, image: Image, asked: str | None = None, **settings: Setting) -> nn.Module:
    """The backbone for images of this size with `asked` in its slots, or its own filling."""

    def mixer(slot: Slot) -> nn.Module:
        choice = registry().choose(backbone.words(asked or backbone.filling, slot))
        return choice.mechanism.build(slot.geometry, **choice.settings)

    return backbone.build(image, mixer, **{**backbone.settings, **settings})


def closed_form(backbone: Backbone, image: Image, asked: str | None = None, **settings: Setting) -> int:
    """The multiply-adds of the same by its closed form and those of its mixers."""
    settings = {**backbone.settings, **settings}
    total = backbone.macs(image, **settings)
    for slot in backbone.slots(image, **settings):
        choice = registry().choose(backbone.words(asked or backbone.filling, slot))
        total += choice.mechanism.closed_form(slot.geometry, **choice.settings) or 0
    return total


def parameters_of(backbone: Backbone, image: Image, asked: str | None = None, **settings: Setting) -> int:
    """How many parameters the same has, without memory for them."""
    with without_memory():
        model = filled(backbone, image, asked, **settings)
    return sum(parameter.numel() for parameter in model.parameters())


class OfPixels(nn.Module):
    """A model of images as a layer of tokens `[1, H · W, 3]`, which is what is counted."""

    def __init__(self, model: nn.Module, image: Image) -> None:
        super().__init__()
        self.model = model
        self.image = image

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x.mT.unflatten(2, self.image))


def count_of(model: nn.Module, image: Image) -> Count:
    """What one image costs, counted on the traced forward pass."""
    return count(OfPixels(model, image), Geometry(3, 1, *image))


@torch.no_grad()
def with_random_weights(model: nn.Module, spread: float = 0.05) -> nn.Module:
    """In float64 and evaluation mode, with no offset zero and norms that have seen other images."""
    for parameter in model.parameters():
        parameter.add_(spread * torch.randn_like(parameter))
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.add_(torch.rand_like(buffer))
    return model.eval().double()
