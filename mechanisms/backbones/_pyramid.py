"""A pyramid: stages of blocks, each with half the rows and columns of the last one and twice its channels."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from attnbench import Geometry, Slot, UnsupportedGeometry
from mechanisms.backbones import _blocks as blocks
from mechanisms.backbones._blocks import Image

PATCH = 4
HEAD_DIM = 32


@dataclass(frozen=True, slots=True)
class Size:
    """What tells the sizes of one pyramid apart: channels of its first stage, and blocks of each."""

    dim: int
    depths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """The `number`th stage, from 1: `depth` blocks on tokens of one geometry."""

    number: int
    depth: int
    geometry: Geometry

    @property
    def slots(self) -> tuple[Slot, ...]:
        """A place for a mixer in each block."""
        return tuple(Slot(self.number, block, self.geometry) for block in range(1, self.depth + 1))


def stages_of(image: Image, size: Size, halve: Callable[[int], int]) -> tuple[Stage, ...]:
    """The stages for images of this size; `halve` says what becomes of a side, which may be odd.

    The first stage has a token for each patch, also for those that the image fills in part. Raises
    `UnsupportedGeometry` where a stage is left without a token.
    """
    height, width = blocks.patches_of(image, PATCH)
    stages = []
    for number, depth in enumerate(size.depths, 1):
        if not (height and width):
            raise UnsupportedGeometry(
                f"An image of {image[0]}x{image[1]} pixels leaves no token to stage {number}; "
                "take a larger one."
            )
        dim = size.dim * 2 ** (number - 1)
        stages.append(Stage(number, depth, Geometry(dim, dim // HEAD_DIM, height, width)))
        height, width = halve(height), halve(width)
    return tuple(stages)


def model(
    image: Image,
    stages: Sequence[Stage],
    block: Callable[[Slot], nn.Module],
    merging: Callable[[Geometry], nn.Module],
) -> nn.Sequential:
    """Embedding, norm, stages with `merging` between them, and classifier, for images `[B, 3, H, W]`."""
    dim = stages[0].geometry.dim
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["embedding"] = blocks.PatchEmbedding(image, dim, PATCH)
    parts["norm"] = nn.LayerNorm(dim)
    for stage in stages:
        parts[f"stage{stage.number}"] = nn.Sequential(*map(block, stage.slots))
        if stage is not stages[-1]:
            parts[f"merging{stage.number}"] = merging(stage.geometry)
    parts["classifier"] = blocks.Classifier(stages[-1].geometry.dim)
    return nn.Sequential(parts)


def macs(stages: Sequence[Stage], block: Callable[[Stage], int], merging: Callable[[Geometry], int]) -> int:
    """The multiply-adds of `model`, with those of one block of a stage, and of the merging after it."""
    first, last = stages[0].geometry, stages[-1].geometry
    in_stages = sum(stage.depth * block(stage) for stage in stages)
    between = sum(merging(stage.geometry) for stage in stages[:-1])
    ends = blocks.embedding_macs(first, PATCH) + blocks.norm_macs(first) + blocks.classifier_macs(last)
    return ends + in_stages + between
