"""A backbone of two stages with three slots, small enough for a test: patches, mixers, a mean, scores."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import CLASSES, COLOURS, Backbone, Geometry, Slot

PATCH, DIM, HEADS = 4, 12, 3
Mixer = Callable[[Slot], nn.Module]


class Tiny(nn.Module):
    def __init__(self, mixers: list[nn.Module], gain: float) -> None:
        super().__init__()
        self.patches = nn.Conv2d(COLOURS, DIM, PATCH, PATCH)
        self.mixers = nn.ModuleList(mixers)
        self.gain = gain
        self.head = nn.Linear(DIM, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, 3, H, W]` to scores `[B, 1000]`."""
        below, beside = (-side % PATCH for side in x.shape[2:])
        x = self.patches(F.pad(x, (0, beside, 0, below))).flatten(2).mT
        for mixer in self.mixers:
            x = x + self.gain * mixer(x)
        return self.head(x.mean(dim=1))


def slots(image: tuple[int, int], *, gain: float = 1.0) -> tuple[Slot, ...]:
    height, width = (-(-side // PATCH) for side in image)
    geometry = Geometry(DIM, HEADS, height, width)
    return (Slot(1, 1, geometry), Slot(1, 2, geometry), Slot(2, 1, geometry))


def build(image: tuple[int, int], mixer: Mixer, *, gain: float) -> nn.Module:
    return Tiny([mixer(slot) for slot in slots(image)], gain)


def macs(image: tuple[int, int], *, gain: float) -> int:
    tokens = slots(image)[0].geometry.tokens
    return tokens * COLOURS * PATCH**2 * DIM + DIM * CLASSES


TINY = Backbone(
    name="tiny",
    title="Tiny",
    build=build,
    slots=slots,
    macs=macs,
    filling="hilo",
    fillings={"hilo": {1: ("hilo:window=1", "msa"), 2: ("hilo:alpha=0.5",)}},
    settings={"gain": 1.0},
)
