"""What models are made of, but for their mixers: each module with its multiply-adds.

Tokens `[B, N, C]` flow between all of them, whose memory is a channels-last map's: no part copies them to
read them as a map.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import CLASSES, COLOURS, Geometry, Slot
from mechanisms._maps import as_channels_first, as_tokens

GROWTH = 4  # hidden channels of a perceptron, by its own

Image = tuple[int, int]  # rows and columns of pixels


class PatchEmbedding(nn.Conv2d):
    """A token for each patch of p × p pixels, in row-major order: one matmul over the patches.

    An image whose sides patches do not divide is zero-padded at the bottom and right. The weight has a
    convolution's shape, `[C, 3, p, p]`.
    """

    part = "patch embedding"

    def __init__(self, image: Image, dim: int, patch: int) -> None:
        super().__init__(COLOURS, dim, kernel_size=patch, stride=patch)
        self.patch = patch
        self.padding_below_and_right = tuple(-side % patch for side in image)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `[B, 3, H, W]` to tokens `[B, N, C]`."""
        below, right = self.padding_below_and_right
        if below or right:
            images = F.pad(images, (0, right, 0, below))
        patches = images.unflatten(3, (-1, self.patch)).unflatten(2, (-1, self.patch))
        patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)  # [B, N, 3p²]
        return F.linear(patches, self.weight.flatten(1), self.bias)


class FeedForward(nn.Module):
    """The perceptron of a block: W₂ GELU(W₁ x), with 4C hidden channels."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.expand = nn.Linear(geometry.dim, GROWTH * geometry.dim)
        self.reduce = nn.Linear(GROWTH * geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return self.reduce(F.gelu(self.expand(x)))


class ConvFeedForward(FeedForward):
    """A perceptron that sees neighbours: W₂ GELU(depthwise(W₁ x)), the convolution 3 × 3 on 4C channels."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.geometry = geometry
        hidden = GROWTH * geometry.dim
        self.depthwise = nn.Conv2d(hidden, hidden, kernel_size=3, padding=1, groups=hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        hidden = as_tokens(self.depthwise(as_channels_first(self.expand(x), self.geometry)))
        return self.reduce(F.gelu(hidden))


class Residual(nn.Module):
    """x + inner(LayerNorm(x))."""

    def __init__(self, dim: int, inner: nn.Module, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, epsilon)
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return x + self.inner(self.norm(x))


class Classifier(nn.Module):
    """Logits of the mean token: W mean(LayerNorm(x)) + b."""

    part = "classifier"

    def __init__(self, dim: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, epsilon)
        self.logits = nn.Linear(dim, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to logits `[B, 1000]`."""
        return self.logits(self.norm(x).mean(dim=1))


def block(
    slot: Slot,
    mixer: Callable[[Slot], nn.Module] | None,
    perceptron: Callable[[Geometry], nn.Module] = FeedForward,
    epsilon: float = 1e-5,
) -> nn.Sequential:
    """x + mixer(LN(x)), where there is a mixer, and then x + perceptron(LN(x))."""
    dim = slot.geometry.dim
    halves: OrderedDict[str, nn.Module] = OrderedDict()
    if mixer:
        halves["mixing"] = Residual(dim, mixer(slot), epsilon)
    halves["perceptron"] = Residual(dim, perceptron(slot.geometry), epsilon)
    return nn.Sequential(halves)


def patches_of(image: Image, patch: int) -> Image:
    """Rows and columns of patches, also of those that an image fills in part."""
    return -(-image[0] // patch), -(-image[1] // patch)


def embedding_macs(first: Geometry, patch: int) -> int:
    return COLOURS * patch**2 * first.dim * first.tokens


def norm_macs(geometry: Geometry) -> int:
    return 5 * geometry.tokens * geometry.dim


def feed_forward_macs(geometry: Geometry) -> int:
    return 2 * GROWTH * geometry.tokens * geometry.dim**2


def depthwise_macs(geometry: Geometry) -> int:
    return 9 * GROWTH * geometry.tokens * geometry.dim


def block_macs(geometry: Geometry) -> int:
    """A block's with a plain perceptron, without its mixer."""
    return 2 * norm_macs(geometry) + feed_forward_macs(geometry)


def classifier_macs(last: Geometry) -> int:
    return norm_macs(last) + last.dim * CLASSES
