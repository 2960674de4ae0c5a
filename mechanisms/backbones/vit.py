"""ViT-B/16 (Dosovitskiy et al., 2021): twelve blocks on the tokens of 16 × 16 patches.

    tokens = conv(image) + positions;     each block x + mixer(LN(x)), then x + FFN(LN(x))

Positions are learned, one vector for each token of the image that the model is built for.

What differs from the published model: there is no class token, because a mixer of maps has no place for one,
and the classifier takes the mean of the normalised tokens instead. At 224 pixels there are 86,566,120
parameters where ViT-B/16 has 86,567,656: less the token's 768 and the 768 of its position.

Multiply-adds without the mixers for N tokens of C channels: 768NC for the embedding, 8NC² + 10NC for a block,
5NC + 1000C for the classifier.

Images of any size: zero-padded at the bottom and right to whole patches.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from attnbench import Backbone, Geometry, Paper, Slot
from mechanisms.backbones import _blocks as blocks
from mechanisms.backbones._blocks import Image

PATCH = 16
HEAD_DIM = 64
EPSILON = 1e-6


class Positions(nn.Module):
    """A learned vector for each token, added to it."""

    part = "patch embedding"

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.table = nn.Parameter(0.02 * torch.randn(1, geometry.tokens, geometry.dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return x + self.table


def geometry_of(image: Image, dim: int) -> Geometry:
    return Geometry(dim, dim // HEAD_DIM, *blocks.patches_of(image, PATCH))


def slots(image: Image, *, dim: int, depth: int) -> tuple[Slot, ...]:
    return tuple(Slot(1, block, geometry_of(image, dim)) for block in range(1, depth + 1))


def build(image: Image, mixer: Callable[[Slot], nn.Module], *, dim: int, depth: int) -> nn.Sequential:
    """The model, from images `[B, 3, H, W]` to logits `[B, 1000]`."""
    stage = [blocks.block(slot, mixer, epsilon=EPSILON) for slot in slots(image, dim=dim, depth=depth)]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["embedding"] = blocks.PatchEmbedding(image, dim, PATCH)
    parts["positions"] = Positions(geometry_of(image, dim))
    parts["stage1"] = nn.Sequential(*stage)
    parts["classifier"] = blocks.Classifier(dim, EPSILON)
    return nn.Sequential(parts)


def macs(image: Image, *, dim: int, depth: int) -> int:
    tokens = geometry_of(image, dim)
    ends = blocks.embedding_macs(tokens, PATCH) + blocks.classifier_macs(tokens)
    return ends + depth * blocks.block_macs(tokens)


def vit(letter: str, dim: int, depth: int) -> Backbone:
    return Backbone(
        name=f"vit-{letter}16",
        title=f"ViT-{letter.upper()}/16",
        build=partial(build, dim=dim, depth=depth),
        slots=partial(slots, dim=dim, depth=depth),
        macs=partial(macs, dim=dim, depth=depth),
        filling="msa",
        paper=Paper(
            title="An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
            venue="ICLR",
            year=2021,
            url="https://arxiv.org/abs/2010.11929",
        ),
    )


vit_b16 = vit("b", dim=768, depth=12)
