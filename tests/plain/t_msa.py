"""T-MSA: attention inside windows, then attention to a summary of the map."""

from dataclasses import replace

from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.t_msa import t_msa

from ._pieces import cropped, cut, heads_of, joined, laid, padded_map, softmax_attention
from .sra import PlainSra


class PlainLocalAttention(nn.Module):
    def __init__(self, geometry: Geometry, window: int) -> None:
        super().__init__()
        self.geometry = geometry
        self.window = window
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        grid = padded_map(tokens, self.geometry, self.window, self.window)
        q, k, v = heads_of(self.qkv(cut(grid, self.window, self.window)), 3, self.geometry.heads)
        windows = joined(softmax_attention(q, k, v))
        return self.proj(cropped(laid(windows, self.window, self.window, grid.shape[2]), self.geometry))


class PlainTwins(nn.Module):
    """out = far(near(tokens))."""

    def __init__(self, geometry: Geometry, window: int, reduction: int) -> None:
        super().__init__()
        self.near = PlainLocalAttention(geometry, window)
        self.far = PlainSra(geometry, reduction)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return self.far(self.near(tokens))


def build(geometry: Geometry, window: int, reduction: int, part: str) -> nn.Module:
    """Both layers, or one of them, as they stand alone in the blocks of a network."""
    if part == "both":
        return PlainTwins(geometry, window, reduction)
    return PlainLocalAttention(geometry, window) if part == "local" else PlainSra(geometry, reduction)


plain_t_msa = replace(t_msa, name="plain-t-msa", title="T-MSA, plain", build=build)
