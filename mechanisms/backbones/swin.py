"""Swin-T (Liu et al., 2021): a pyramid with a mixer in every block, windows and shifted windows in turn.

Patches of 4 × 4 pixels are embedded and normalised. Each block is x + mixer(LN(x)), then x + FFN(LN(x));
between stages the four tokens of each 2 × 2 become one of twice the channels:

    merged = W LN([x_00 ; x_01 ; x_10 ; x_11]),     4C to 2C without a bias

What differs from the published model: windows have no relative position bias, as the layers of Table IV have
none. It has 169 numbers for each head, 23,322 in all, so that there are 28,265,032 parameters where Swin-T
has 28,288,354; multiply-adds are the same. The four tokens stand row by row, where Swin's own weights expect
them column by column. The last stage, at 224 pixels one window, is not shifted.

Multiply-adds without the mixers, for stages of N tokens and C channels: 48NC and 5NC for the embedding and
its norm, 8NC² + 10NC for a block, 2NC² + 5NC for the merging after a stage, 5NC + 1000C for the classifier.

Images of any size: zero-padded at the bottom and right to whole patches, and maps of an odd side to whole
2 × 2 of tokens, where N is the padded number, as Swin's code for dense prediction does. Stochastic depth is
left out.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from attnbench import Backbone, Geometry, Paper, Slot
from mechanisms._maps import as_map, pad, round_up
from mechanisms.backbones import _blocks as blocks
from mechanisms.backbones import _pyramid as pyramid
from mechanisms.backbones._blocks import Image
from mechanisms.backbones._pyramid import Size, Stage

SIDE = 2
IN_TURN = ("shifted-window:shift=0", "shifted-window")
FILLINGS = {"shifted-window": {1: IN_TURN, 2: IN_TURN, 3: IN_TURN, 4: IN_TURN[:1]}}


class PatchMerging(nn.Module):
    """One token of twice the channels for each 2 × 2 tokens of a map, zero-padded to an even size."""

    part = "token merging"

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.norm = nn.LayerNorm(SIDE**2 * geometry.dim)
        self.reduce = nn.Linear(SIDE**2 * geometry.dim, 2 * geometry.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N', 2C]`."""
        height, width = (round_up(side, SIDE) for side in (self.geometry.height, self.geometry.width))
        maps = pad(as_map(x, self.geometry), height, width)
        squares = maps.unflatten(2, (-1, SIDE)).unflatten(1, (-1, SIDE)).transpose(2, 3)
        return self.reduce(self.norm(squares.flatten(3).flatten(1, 2)))


def merging_macs(geometry: Geometry) -> int:
    n = round_up(geometry.height, SIDE) * round_up(geometry.width, SIDE)
    return 2 * n * geometry.dim**2 + 5 * n * geometry.dim


def stages_of(image: Image, size: Size) -> tuple[Stage, ...]:
    return pyramid.stages_of(image, size, halve=lambda side: round_up(side, SIDE) // SIDE)


def slots(image: Image, *, size: Size) -> tuple[Slot, ...]:
    return tuple(slot for stage in stages_of(image, size) for slot in stage.slots)


def build(image: Image, mixer: Callable[[Slot], nn.Module], *, size: Size) -> nn.Sequential:
    """The model, from images `[B, 3, H, W]` to logits `[B, 1000]`."""
    return pyramid.model(image, stages_of(image, size), lambda slot: blocks.block(slot, mixer), PatchMerging)


def macs(image: Image, *, size: Size) -> int:
    return pyramid.macs(stages_of(image, size), lambda stage: blocks.block_macs(stage.geometry), merging_macs)


def swin(letter: str, size: Size) -> Backbone:
    return Backbone(
        name=f"swin-{letter}",
        title=f"Swin-{letter.upper()}",
        build=partial(build, size=size),
        slots=partial(slots, size=size),
        macs=partial(macs, size=size),
        filling="shifted-window",
        fillings=FILLINGS,
        paper=Paper(
            title="Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
            venue="ICCV",
            year=2021,
            url="https://arxiv.org/abs/2103.14030",
        ),
    )


swin_t = swin("t", Size(96, (2, 2, 6, 2)))
