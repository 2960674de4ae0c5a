"""How layers take their tokens and give them back, and one layer of tokens `[B, N, C]` made of each.

Turning tokens into a map and back costs nothing but where a layer wants contiguous memory: the map is a view
of the tokens. `[B, C, H, W]` is so in channels-last memory, as convolutions want it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnbench.backbone import Slot
from attnbench.cases.models import Model, in_slot
from attnbench.measuring.model_parts import slots
from attnbench.mechanism import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    CONTIGUOUS,
    IMAGES,
    QKV,
    SIDES,
    SIZE,
    TOKENS,
    Geometry,
    Mechanism,
    Setting,
)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a layer's forward is called with, made of tokens `[B, N, C]`, and tokens from what it returns.

    What it returns has so many `dims`: B, N and C, or those of a map.
    """

    takes: Callable[[Tensor, Geometry], tuple[Any, ...]]
    gives: Callable[[Tensor], Tensor]
    dims: int = 3


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _channels_first(x: Tensor, geometry: Geometry) -> Tensor:
    maps: Tensor = x.mT.unflatten(2, (geometry.height, geometry.width))
    return maps


LAYOUTS = {
    TOKENS: Layout(lambda x, _: (x,), _as_it_is),
    SIDES: Layout(lambda x, geometry: (x, geometry.height, geometry.width), _as_it_is),
    SIZE: Layout(lambda x, geometry: (x, (geometry.height, geometry.width)), _as_it_is),
    QKV: Layout(lambda x, _: (x, x, x), _as_it_is),
    CHANNELS_FIRST: Layout(
        lambda x, geometry: (_channels_first(x, geometry),), lambda out: out.flatten(2).mT, dims=4
    ),
    CONTIGUOUS: Layout(
        lambda x, geometry: (_channels_first(x, geometry).contiguous(),),
        lambda out: out.flatten(2).mT,
        dims=4,
    ),
    IMAGES: Layout(lambda x, _: (x,), _as_it_is),
    CHANNELS_LAST: Layout(
        lambda x, geometry: (x.unflatten(1, (geometry.height, geometry.width)),),
        lambda out: out.flatten(1, 2),
        dims=4,
    ),
}


def layer_of(mechanism: Mechanism, geometry: Geometry, settings: Mapping[str, Setting]) -> nn.Module:
    """The layer that maps tokens `[B, N, C]` to tokens `[B, N, C]`, whatever its own layout is; or a model.

    Raises what `build` raises.
    """
    if isinstance(mechanism, Model):
        return _model(mechanism, geometry, settings)
    layer = mechanism.build(geometry, **settings)
    if mechanism.layout in (TOKENS, IMAGES) and (mechanism.output, mechanism.prefix) == (None, 0):
        return layer
    return InLayout(layer, geometry, mechanism.layout, mechanism.output, mechanism.prefix)


def _model(model: Model, image: Geometry, settings: Mapping[str, Setting]) -> nn.Module:
    """A backbone with layers of tokens in its slots."""

    def mixer(slot: Slot) -> nn.Module:
        filling = model.mixer(slot, settings)
        with in_slot(slot):
            layer = layer_of(filling.mechanism, slot.geometry, filling.settings)
        slots[layer] = slot
        return layer

    return model.backbone.build((image.height, image.width), mixer, **model.own(settings))


class InLayout(nn.Module):
    """A layer of another layout as one that maps tokens to tokens.

    Of several things that it returns, `output` names the one that counts, by its place or its name. So many
    `prefix` tokens, such as a class token, stand before those of the map for it, and not in what comes out.
    """

    prefix: Tensor | None

    def __init__(
        self, layer: nn.Module, geometry: Geometry, layout: str, output: int | str | None, prefix: int
    ) -> None:
        super().__init__()
        self.layer = layer
        self.geometry, self.layout, self.output = geometry, LAYOUTS[layout], output
        tokens = torch.randn(1, prefix, geometry.dim) if prefix else None
        self.register_buffer("prefix", tokens, persistent=False)

    def forward(self, x: Tensor) -> Any:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        if self.prefix is not None:
            x = torch.cat([self.prefix.expand(len(x), -1, -1), x], dim=1)
        out = self.layer(*self.layout.takes(x, self.geometry))
        if isinstance(self.output, str):
            out = out[self.output] if isinstance(out, dict) else getattr(out, self.output)
        elif self.output is not None:
            out = out[self.output]
        if not (isinstance(out, Tensor) and out.ndim == self.layout.dims):
            return out  # for whoever asks what it is
        tokens = self.layout.gives(out)
        return tokens if self.prefix is None else tokens[:, self.prefix.shape[1] :]
