"""The contract between attnbench and a backbone: a model that takes a mechanism in each of its slots.

A backbone's author writes a function that builds an `nn.Module` from images `[B, 3, H, W]` to logits
`[B, classes]`, asks for the token mixer of each slot where it needs one, and names all in one `Backbone`
value. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attnbench.errors import AttnbenchError
from attnbench.mechanism import NAME, Geometry, Paper, Setting

if TYPE_CHECKING:
    from torch import nn

Filling = Mapping[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Slot:
    """A place that takes a token mixer: the `number`th of its `stage`, both from 1, with its geometry."""

    stage: int
    number: int
    geometry: Geometry

    @property
    def words(self) -> str:
        """`layer 2 of stage 3 (14×14 tokens, dim 384, 12 heads)`."""
        g = self.geometry
        size = f"{g.height}×{g.width} tokens, dim {g.dim}, {g.heads} heads"
        return f"layer {self.number} of stage {self.stage} ({size})"


@dataclass(frozen=True, slots=True)
class Backbone:
    """One model with slots.

    `name` is a word of the command line, as a mechanism's is. An image is `(height, width)` in pixels.

    - `build(image, mixer, **settings)` makes the model for images of this size. It calls `mixer(slot)` once
      for each slot, in their order, which gives an `nn.Module` of tokens `[B, N, C]` to tokens `[B, N, C]`.
    - `slots(image, **settings)` are the places of those, in the order of the forward pass. It raises
      `UnsupportedGeometry` for an image that leaves a stage no token.
    - `macs(image, **settings)` is the closed form of everything but the mixers: the multiply-adds of one
      image in the convention of `attnbench.measuring.cost`. With those of the mixers it is the count.

    `filling` is what stands in the slots if nobody asks for another: a mechanism's words, as `hilo`.
    `fillings` say which stages do not take a mechanism as it was asked for, by the mechanism's name and the
    stage: words that its slots there take in turn, whose settings stand before those that were asked for.
    `settings` are the defaults of what else defines the model.
    """

    name: str
    title: str
    build: Callable[..., nn.Module]
    slots: Callable[..., tuple[Slot, ...]]
    macs: Callable[..., int]
    filling: str
    fillings: Mapping[str, Filling] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    paper: Paper | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise AttnbenchError(
                f"A backbone is named {self.name!r}, which is no word of the command line; give it letters, "
                "digits, '-', '_' and '.', a letter or digit first. Its title may hold anything."
            )
        for name, filling in self.fillings.items():
            for stage, turns in filling.items():
                if stage < 1 or not turns or isinstance(turns, str):
                    raise AttnbenchError(
                        f"{self.name}: the filling of {name} has {turns!r} for stage {stage}; it is a tuple "
                        "of one or more mechanisms' words for a stage from 1 on."
                    )
