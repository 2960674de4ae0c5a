"""Backbones filled with mechanisms, as several tests build and count them."""

from functools import cache
from pathlib import Path

import torch
from torch import nn

from attnbench import Backbone, Geometry
from attnbench.cases import models
from attnbench.cases.models import Model
from attnbench.cases.registry import Registry, discover
from attnbench.measuring.cost import Count, count
from attnbench.measuring.layers import without_memory
from attnbench.measuring.layouts import layer_of
from attnbench.mechanism import Setting
from mechanisms.backbones._blocks import Image

PLAIN = Path(__file__).parent / "plain"


@cache
def registry() -> Registry:
    """The built-in mechanisms and their plain transcriptions."""
    return discover([PLAIN])


def model_of(backbone: Backbone, asked: str | None = None) -> tuple[Model, dict[str, Setting]]:
    """The backbone with `asked` in its slots, or with its own filling, and the settings of both."""
    choice = registry().choose(asked or backbone.filling)
    return models.filled(backbone, choice.mechanism, registry().read), {
        **choice.settings,
        **backbone.settings,
    }


def filled(backbone: Backbone, image: Image, asked: str | None = None, **settings: Setting) -> nn.Module:
    """That model for images of this size."""
    model, usual = model_of(backbone, asked)
    return layer_of(model, Geometry.image(*image), usual | settings)


def closed_form(backbone: Backbone, image: Image, asked: str | None = None, **settings: Setting) -> int:
    """The multiply-adds of the same by its closed form and those of its mixers."""
    model, usual = model_of(backbone, asked)
    macs = model.closed_form(Geometry.image(*image), **(usual | settings))
    assert macs is not None
    return macs


def parameters_of(backbone: Backbone, image: Image, asked: str | None = None, **settings: Setting) -> int:
    """How many parameters the same has, without memory for them."""
    with without_memory():
        model = filled(backbone, image, asked, **settings)
    return sum(parameter.numel() for parameter in model.parameters())


def count_of(model: nn.Module, image: Image) -> Count:
    """What one image costs, counted on the traced forward pass."""
    return count(model, Geometry.image(*image))


@torch.no_grad()
def with_random_weights(model: nn.Module, spread: float = 0.05) -> nn.Module:
    """In float64 and evaluation mode, with no offset zero and norms that have seen other images."""
    for parameter in model.parameters():
        parameter.add_(spread * torch.randn_like(parameter))
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.add_(torch.rand_like(buffer))
    return model.eval().double()
