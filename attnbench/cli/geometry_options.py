"""What layers are built for: maps, channels and heads, or the stages of a model, from the command line."""

from collections.abc import Sequence
from typing import Annotated

from attnbench.cases.case import PATCH, TABLE_IV
from attnbench.cases.choice import Choice
from attnbench.cases.sweep import read_size
from attnbench.cli.help import WHAT, option
from attnbench.cli.options import read_counts, shortened, split
from attnbench.errors import AttnbenchError
from attnbench.mechanism import Geometry

LIKE_AN_IMAGE = 192  # tokens a side, from which a map is rather the size of an image
USUAL_SIZE = f"{TABLE_IV.geometry.height}"
USUAL_IMAGE = "224"  # pixels of a side of what models are given

Images = Annotated[
    list[str] | None,
    option(
        "--image",
        metavar="SIZE",
        about="Images, whose maps have --patch pixels a token: 384, or 384x512; a list too.",
        panel=WHAT,
        default="none",
    ),
]
Patch = Annotated[
    int,
    option(
        "--patch", metavar="PIXELS", min=1, about="The side of a token's patch of an --image.", panel=WHAT
    ),
]
Dims = Annotated[
    list[str] | None,
    option("--dim", metavar="CHANNELS", about="Channels of a token; a list too.", panel=WHAT, default="768"),
]
HeadCounts = Annotated[
    list[str] | None,
    option(
        "--heads",
        metavar="HEADS",
        about="Attention heads; they must divide --dim. A list too.",
        panel=WHAT,
        default="12",
    ),
]
Stages = Annotated[
    list[str] | None,
    option(
        "--stage",
        metavar="RES:DIM:HEADS",
        about="Stages of a model instead of --res, --dim and --heads: 56:96:3,28:192:6,14:384:12,7:768:24.",
        panel=WHAT,
        default="none",
    ),
]


def read_geometries(
    sizes: list[str] | None,
    dims: list[str] | None,
    heads: list[str] | None,
    stages: list[str] | None,
    images: list[str] | None,
    patch: int,
) -> list[Geometry]:
    """The maps, channels and heads that layers are built for: all combinations, or stages of a model."""
    if stages:
        if sizes or dims or heads or images:
            raise AttnbenchError(
                "--stage has the map, channels and heads of each stage; leave out --res, --image, --dim and "
                "--heads, or write them instead."
            )
        return [_read_stage(text) for text in split(stages)]
    if sizes and images:
        raise AttnbenchError("--res and --image both say how large a map is; leave one out.")
    maps = [_tokens_of(text, patch) for text in split(images)] or [
        read_size(text) for text in split(sizes) or [USUAL_SIZE]
    ]
    return [
        Geometry(dim, count, *size)
        for size in maps
        for dim in read_counts("--dim", dims, TABLE_IV.geometry.dim)
        for count in read_counts("--heads", heads, TABLE_IV.geometry.heads)
    ]


def geometry_of(choice: Choice, size: str | None, dim: int, heads: int) -> Geometry:
    """What one layer is built for, or one model."""
    if choice.mechanism.is_model:
        return Geometry.image(*read_size(size or USUAL_IMAGE))
    return Geometry(dim, heads, *read_size(size or USUAL_SIZE))


def read_images(images: list[str] | None, sizes: list[str] | None, *, alone: bool) -> list[Geometry]:
    """Images that models are built for; `--res` is their side where models are `alone`, without layers."""
    texts = split(images) or (split(sizes) if alone else []) or [USUAL_IMAGE]
    return [Geometry.image(*read_size(text)) for text in texts]


def image_of(geometries: Sequence[Geometry]) -> str | None:
    """What to say of maps that look like images: what image they are; nothing of those that do not."""
    large = [each for each in geometries if not each.images and max(each.height, each.width) >= LIKE_AN_IMAGE]
    if not large:
        return None
    side, pixels = large[0].size, [PATCH * large[0].height, PATCH * large[0].width]
    return (
        f"--res counts tokens: {side} is an image of {pixels[0]}×{pixels[1]} pixels at a patch of {PATCH}. "
        f"--image {side} would be the image."
    )


def _read_stage(text: str) -> Geometry:
    size, *rest = text.split(":")
    if len(rest) != 2:
        raise AttnbenchError(f"--stage is {shortened(text)!r}; it must be RES:DIM:HEADS, such as 28:192:6.")
    (dim,), (heads,) = (read_counts("--stage", [number], 1) for number in rest)
    return Geometry(dim, heads, *read_size(size))


def _tokens_of(text: str, patch: int) -> tuple[int, int]:
    """The map of an image's tokens."""
    height, width = read_size(text)
    if height % patch or width % patch:
        raise AttnbenchError(
            f"--image is {text}, which patches of {patch} pixels do not divide; choose --patch so that they "
            "do."
        )
    return height // patch, width // patch
