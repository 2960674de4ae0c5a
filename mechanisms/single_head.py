"""Single-head attention on a part of the channels (Yun and Ro, 2024), the attention of SHViT.

Heads of one layer learn much the same, so one is enough, and part of the channels is: p = ⌊part · C⌋ of them
are mixed in space, with queries and keys of few channels, and the others meet them in the last projection:

    [x₁ ; x₂] = x                                p and C - p channels
    [q ; k ; v] = BatchNorm(W GroupNorm(x₁))     `key`, `key` and p channels
    y = softmax(q kᵀ / √key) v
    out = BatchNorm(W_o ReLU([y ; x₂]))

GroupNorm has one group: an image's mean and variance over its tokens and the p channels. Neither projection
has a bias. The number of heads does not matter, and any map will do.

BatchNorm takes the statistics that it has kept; while training it takes those of the batch, in which images
meet. The authors start the weight of the last one at zero, for a layer with a residual around it; here it
starts at one, as a layer that gives zeros tells nothing.

MACs for N tokens of C channels, keys of d: N(5p + p(2d + p) + 2(2d + p)) for the norm, queries, keys and
values, N²(d + p) for the attention, N(C² + 2C) for the output. With the authors' part of 3/14, 79 % of the
channels are not mixed in space.
"""

import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from attnbench.attention import attend
from mechanisms._maps import as_channels_first, as_tokens


class SingleHeadAttention(nn.Module):
    """Attention of one head in the first channels, and a projection of all."""

    def __init__(self, geometry: Geometry, *, part: float, key: int) -> None:
        super().__init__()
        self.geometry = geometry
        self.mixed = mixed_channels(geometry, part)
        if key < 1:
            raise InvalidSetting(f"single-head: key is {key}; it must be at least 1.")
        self.widths = (key, key, self.mixed)
        self.norm = nn.GroupNorm(1, self.mixed)
        self.qkv = nn.Linear(self.mixed, sum(self.widths), bias=False)
        self.qkv_norm = nn.BatchNorm1d(sum(self.widths))
        self.proj = nn.Linear(geometry.dim, geometry.dim, bias=False)
        self.proj_norm = nn.BatchNorm1d(geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        mixed, others = x.split((self.mixed, x.shape[-1] - self.mixed), dim=-1)
        mixed = as_tokens(self.norm(as_channels_first(mixed, self.geometry)))
        qkv = on_tokens(self.qkv_norm, self.qkv(mixed)).unsqueeze(1)  # [B, 1, N, …]: one head
        y = attend(*qkv.split(self.widths, dim=-1)).squeeze(1)  # [B, N, p]
        joined = torch.cat([y, others], dim=-1).relu_()
        return on_tokens(self.proj_norm, self.proj(joined))


def on_tokens(norm: nn.Module, x: Tensor) -> Tensor:
    """A norm of rows `[B · N, C]` on tokens `[B, N, C]`."""
    return norm(x.flatten(0, 1)).view_as(x)


def mixed_channels(geometry: Geometry, part: float) -> int:
    """p, the channels that are mixed in space."""
    if not 0 < part <= 1:
        raise InvalidSetting(f"single-head: part is {part}; it must be above 0 and at most 1.")
    mixed = int(geometry.dim * part)
    if not mixed:
        raise UnsupportedGeometry(
            f"single-head: a part of {part:.3g} of {geometry.dim} channels is less than one; "
            "choose a larger --dim or part."
        )
    return mixed


def macs(geometry: Geometry, part: float, key: int) -> int:
    n, c, p = geometry.tokens, geometry.dim, mixed_channels(geometry, part)
    projected = 2 * key + p
    return n * (5 * p + p * projected + 2 * projected) + n**2 * (key + p) + n * (c**2 + 2 * c)


single_head = Mechanism(
    name="single-head",
    title="Single-Head",
    build=SingleHeadAttention,
    macs=macs,
    settings={"part": 0.214, "key": 16},
    paper=Paper(
        title="SHViT: Single-Head Vision Transformer with Memory Efficient Macro Design",
        venue="CVPR",
        year=2024,
        url="https://arxiv.org/abs/2401.16456",
    ),
    family="softmax",
)
