"""LITv2-S assembled from plain modules: maps are channels first wherever there is a convolution."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, Slot
from mechanisms.backbones.lit import litv2_s

DEPTHS = {96: 2, 192: 2, 384: 6, 768: 2}  # by the stage's channels


def as_image(tokens: Tensor, height: int, width: int) -> Tensor:
    """Tokens `[B, N, C]` as `[B, C, H, W]`."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, height, width)


def as_tokens(image: Tensor) -> Tensor:
    """A map `[B, C, H, W]` as tokens `[B, N, C]`."""
    return image.flatten(2).transpose(1, 2)


class PlainEmbedding(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(3, 96, kernel_size=4, stride=4)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `[B, 3, H, W]` to tokens `[B, N, 96]`."""
        below, right = -images.shape[2] % 4, -images.shape[3] % 4
        return as_tokens(super().forward(F.pad(images, (0, right, 0, below))))


class PlainConvFeedForward(nn.Module):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.size = (geometry.height, geometry.width)
        c = geometry.dim
        self.expand = nn.Linear(c, 4 * c)
        self.depthwise = nn.Conv2d(4 * c, 4 * c, kernel_size=3, padding=1, groups=4 * c)
        self.act = nn.GELU()
        self.reduce = nn.Linear(4 * c, c)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        x = as_tokens(self.depthwise(as_image(self.expand(x), *self.size)))
        return self.reduce(self.act(x))


class PlainResidual(nn.Module):
    def __init__(self, dim: int, inner: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return x + self.inner(self.norm(x))


class PlainDeformableMerging(nn.Module):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.size = (geometry.height, geometry.width)
        c = geometry.dim
        self.offsets = nn.Conv2d(c, 8, kernel_size=2, stride=2)
        self.taps = nn.Conv2d(c, 2 * c, kernel_size=2, stride=2)
        self.norm = nn.BatchNorm2d(2 * c)
        self.act = nn.GELU()
        for parameter in self.offsets.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N', 2C]`."""
        image = as_image(x, *self.size)
        merged = deformable_convolution(image, self.offsets(image), self.taps.weight, self.taps.bias)
        return as_tokens(self.act(self.norm(merged)))


class PlainClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(768)
        self.logits = nn.Linear(768, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, 768]` to logits `[B, 1000]`."""
        return self.logits(self.norm(x).mean(dim=1))


def by_sampling(image: Tensor, offsets: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 2 × 2 convolution of stride 2 of an image `[B, C, H, W]` whose taps are moved by `[B, 8, H', W']`.

    Each tap is a sampled map, and the taps are channels of a 1 × 1 convolution.
    """
    _, _, height, width = image.shape
    rows, columns = (2 * torch.arange(side, device=image.device) for side in offsets.shape[2:])
    sampled = []
    for tap, moved in enumerate(offsets.unflatten(1, (4, 2)).unbind(1)):
        y = rows.unsqueeze(1) + tap // 2 + moved[:, 0]
        x = columns + tap % 2 + moved[:, 1]
        places = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1)
        sampled.append(F.grid_sample(image, places, align_corners=False))
    kernel = weight.permute(0, 2, 3, 1).flatten(1)
    return F.conv2d(torch.cat(sampled, dim=1), kernel[:, :, None, None], bias)


def by_torchvision(image: Tensor, offsets: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same by torchvision's operator."""
    from torchvision.ops import deform_conv2d

    return deform_conv2d(image, offsets, weight, bias, stride=2)


deformable_convolution = by_torchvision if find_spec("torchvision") else by_sampling


def build(image: tuple[int, int], mixer: Callable[[Slot], nn.Module]) -> nn.Sequential:
    """The model with mixers from elsewhere, which may be plain ones too."""
    slots = {(slot.stage, slot.number): slot for slot in litv2_s.slots(image)}
    height, width = -(-image[0] // 4), -(-image[1] // 4)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["embedding"] = PlainEmbedding()
    parts["norm"] = nn.LayerNorm(96)
    for stage, (dim, depth) in enumerate(DEPTHS.items(), 1):
        geometry = Geometry(dim, dim // 32, height, width)
        blocks = []
        for number in range(1, depth + 1):
            halves: OrderedDict[str, nn.Module] = OrderedDict()
            if stage > 2:
                halves["mixing"] = PlainResidual(dim, mixer(slots[stage, number]))
            halves["perceptron"] = PlainResidual(dim, PlainConvFeedForward(geometry))
            blocks.append(nn.Sequential(halves))
        parts[f"stage{stage}"] = nn.Sequential(*blocks)
        if stage < 4:
            parts[f"merging{stage}"] = PlainDeformableMerging(geometry)
        height, width = height // 2, width // 2
    parts["classifier"] = PlainClassifier()
    return nn.Sequential(parts)


plain_litv2_s = replace(
    litv2_s,
    name="plain-litv2-s",
    title="LITv2-S, plain",
    build=build,
    macs=partial(litv2_s.macs, convffn=True),
    filling="plain-hilo",
    fillings={"plain-hilo": {4: ("plain-hilo:window=1",)}},
    settings={},
)
