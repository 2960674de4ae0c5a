"""The contract between attnbench and a mechanism: a layer that maps tokens to tokens on an H×W map.

A mechanism's author writes an `nn.Module` whose constructor takes a `Geometry` and whose `forward` maps
`[B, N, C]` to `[B, N, C]`, and one `Mechanism` value that names it. Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.file_marks import SPARSE

if TYPE_CHECKING:
    from torch import nn

Setting = bool | int | float | str

Shape = tuple[int, ...]
OperatorMacs = Callable[[Sequence[Shape | None], Sequence[Shape]], int]
FAMILIES = ("softmax", "windows", "sparse", "linear", "state space", "convolution", "frequency")
TOKENS, SIDES, SIZE, QKV = "tokens", "tokens, height, width", "tokens, size", "query, key, value"
CHANNELS_FIRST, CONTIGUOUS = "channels first", "channels first, contiguous"
CHANNELS_LAST = "channels last"
IMAGES = "images"
LAYOUTS = {
    TOKENS: "forward(x) of tokens [B, N, C]",
    SIDES: "forward(x, H, W)",
    SIZE: "forward(x, (H, W))",
    QKV: "forward(x, x, x)",
    CHANNELS_FIRST: "forward(x) of maps [B, C, H, W], which lie as [B, H, W, C] in memory: nothing is copied",
    CONTIGUOUS: "forward(x) of maps [B, C, H, W] that also lie so: a copy is part of each call",
    CHANNELS_LAST: "forward(x) of maps [B, H, W, C]",
    IMAGES: "forward(x) of images [B, 3, H, W] to scores [B, 1000]: a whole model",
}
"""What a layer's forward may be called with."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MODEL = re.compile(rf"{NAME.pattern}(/{NAME.pattern})?")  # a backbone, and what fills it
COLOURS, CLASSES = 3, 1000  # of images, and of the scores that a model gives for them: ImageNet's


@dataclass(frozen=True, slots=True)
class Geometry:
    """What a layer is built for: `dim` channels in `heads` heads on a map of `height` × `width` tokens.

    Tokens are in row-major order: token t = row · width + column. A model is built for `images`, whose pixels
    are such a map of three channels; `image` makes one.
    """

    dim: int
    heads: int
    height: int
    width: int
    images: bool = field(default=False, metadata=SPARSE)

    def __post_init__(self) -> None:
        for name in ("dim", "heads", "height", "width"):
            if getattr(self, name) < 1:
                raise AttnbenchError(f"{name} is {getattr(self, name)}; it must be at least 1.")

    @classmethod
    def image(cls, height: int, width: int) -> Geometry:
        """That of images of so many pixels, for a model."""
        return cls(COLOURS, 1, height, width, images=True)

    def input_shape(self, batch: int) -> Shape:
        """That of what is fed: tokens `[B, N, C]`, or images `[B, 3, H, W]`."""
        return (batch, self.dim, self.height, self.width) if self.images else (batch, self.tokens, self.dim)

    def output_shape(self, batch: int) -> Shape:
        """That of what comes out: tokens `[B, N, C]`, or scores `[B, 1000]` of images."""
        return (batch, CLASSES) if self.images else (batch, self.tokens, self.dim)

    @property
    def tokens(self) -> int:
        """N = H · W; of images, their pixels."""
        return self.height * self.width

    @property
    def head_dim(self) -> int:
        """Channels of one head, C / heads, of a mechanism whose heads share the channels.

        Raises `UnsupportedGeometry` where they cannot.
        """
        self.require_shared_channels()
        return self.dim // self.heads

    @property
    def size(self) -> str:
        """The map as it is written on the command line: `14x28`."""
        return f"{self.height}x{self.width}"

    @property
    def layer_words(self) -> str:
        """A layer's size, `dim 768, 12 heads`; nothing of a model, which has layers of several."""
        return "" if self.images else f"dim {self.dim}, {self.heads} heads"

    @property
    def side_words(self) -> str:
        """What a side is counted in: `tokens a side`, or `pixels a side`."""
        return f"{'pixels' if self.images else 'tokens'} a side"

    def require_shared_channels(self) -> None:
        """Raise `UnsupportedGeometry` unless heads divide the channels.

        A mechanism whose heads share them asks for it; one whose heads have a width of their own does not.
        """
        if self.dim % self.heads:
            raise UnsupportedGeometry(
                f"{self.heads} heads do not divide {self.dim} channels; choose --heads so that they do."
            )


@dataclass(frozen=True, slots=True)
class Paper:
    """Where a mechanism was published."""

    title: str
    venue: str
    year: int
    url: str


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of a layer that makes some channels of its output alone.

    `macs(geometry, **settings)` is the branch's share of the mechanism's closed form, and
    `channels(geometry, **settings)` how many channels of the output it makes; either is 0 where the settings
    leave the branch out.
    """

    title: str
    macs: Callable[..., int]
    channels: Callable[..., int]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One entry of the registry.

    `name` is a word of the command line: letters, digits, `-`, `_` and `.`, a letter or digit first.
    `build(geometry, **settings)` makes the layer; `macs(geometry, **settings)` is its closed form: the
    multiply-adds of one image's forward pass, in the convention of `attnbench.measuring.cost`, which must
    count the same number; without one the count stands alone. `paper` is where it was published, if it was.
    `settings` are the defaults of the keyword arguments that define the mechanism;
    their types, each a bool, int, float or str, are the types that the command line accepts. `build` raises
    `UnsupportedGeometry` for a map that it has no meaning for and `InvalidSetting` for a value that it has no
    meaning for. A layer whose
    output is several branches side by side names them in `branches`, in the order of their channels.
    `operators` are formulas of operators of its own, by names such as `ns::op`, as a count calls them that
    has none: `formula(inputs, outputs)` has the multiply-adds of one call by the shapes of its tensors, with
    None for an input that is no tensor. `family` says what kind of mixing it is, one of `FAMILIES`, or
    nothing: softmax over the whole map or a smaller copy of it, softmax inside windows or over chosen tokens,
    sums that cost no more than the tokens' number, a recurrence, a convolution, a product of spectra.

    `layout` is what the layer's forward takes and gives, one of `LAYOUTS`. Of a layer that returns several
    things `output` names the one that counts, by its place or its name. `prefix` tokens, such as a class
    token, stand before those of the map for the layer alone.
    """

    name: str
    title: str
    build: Callable[..., nn.Module]
    macs: Callable[..., int] | None = None
    paper: Paper | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    branches: tuple[Branch, ...] = ()
    operators: Mapping[str, OperatorMacs] = field(default_factory=dict)
    family: str = ""
    layout: str = TOKENS
    output: int | str | None = None
    prefix: int = 0

    def __post_init__(self) -> None:
        if not (MODEL if self.layout == IMAGES else NAME).fullmatch(self.name):
            raise AttnbenchError(
                f"A mechanism is named {self.name!r}, which is no word of the command line; give it letters, "
                "digits, '-', '_' and '.', a letter or digit first. Its title may hold anything."
            )
        if self.family and self.family not in FAMILIES:
            raise AttnbenchError(
                f"{self.name}: the family is {self.family!r}; it is one of {', '.join(FAMILIES)} or none."
            )
        if self.layout not in LAYOUTS:
            raise AttnbenchError(
                f"{self.name}: the layout is {self.layout!r}; it is one of {', '.join(map(repr, LAYOUTS))}."
            )
        if self.prefix < 0 or (self.prefix and self.layout.startswith("channels")):
            raise AttnbenchError(
                f"{self.name}: prefix is {self.prefix} in the layout {self.layout!r}; it is a number of "
                "tokens before those of a map, of which a layer of maps has none."
            )
        for key, value in self.settings.items():
            if type(value) not in (bool, int, float, str):
                raise AttnbenchError(
                    f"{self.name}: the setting {key} is {value!r}; a setting is true or false, a number or a "
                    "text. Give the layer what else it takes in `build`, as two settings or made of one."
                )

    @property
    def is_model(self) -> bool:
        """Whether it maps images to scores, as a whole model does."""
        return self.layout == IMAGES

    def closed_form(self, geometry: Geometry, **settings: Setting) -> int | None:
        """The multiply-adds of one image's forward pass by its closed form; None without one."""
        return self.macs(geometry, **settings) if self.macs else None
