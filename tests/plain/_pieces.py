"""What several plain transcriptions need: heads, softmax attention written out, and maps cut into windows.

Import it relatively, as in `from ._pieces import joined
plugin, under a name of its own.
"""

import torch.nn.functional as F
from torch import Tensor

from attnbench import Geometry


def heads_of(packed: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Packed projections `[..., N, parts · C]` as `parts` tensors `[..., heads, N, D]`."""
    return packed.unflatten(-1, (parts, heads, -1)).transpose(-4, -2).unbind(-3)


def joined(heads: Tensor) -> Tensor:
    """Heads `[..., heads, N, D]` side by side: `[..., N, C]`."""
    return heads.transpose(-3, -2).flatten(-2)


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(q kᵀ / √D + bias) v, `[..., N, D]` like the queries; keys and values are `[..., M, D]`."""
    logits = (q * q.shape[-1] ** -0.5) @ k.mT
    if bias is not None:
        logits = logits + bias
    return logits.softmax(dim=-1) @ v


def padded_map(tokens: Tensor, geometry: Geometry, rows: int, columns: int) -> Tensor:
    """Tokens `[B, N, C]` as a map `[B, H, W, C]`, zero-padded below and right to multiples of a window."""
    grid = tokens.unflatten(1, (geometry.height, geometry.width))
    below, right = -geometry.height % rows, -geometry.width % columns
    return F.pad(grid, (0, 0, 0, right, 0, below)) if below or right else grid


def cropped(grid: Tensor, geometry: Geometry) -> Tensor:
    """The tokens `[B, N, C]` of a map `[B, H, W, C]` without its padding."""
    return grid[:, : geometry.height, : geometry.width].flatten(1, 2)


def cut(grid: Tensor, rows: int, columns: int) -> Tensor:
    """A map `[B, H, W, C]` in windows, row by row: `[B, windows, rows · columns, C]`.

    In a strip of `rows` rows, each row is a sequence of runs of `columns` tokens, one run for each window.
    """
    b, _, width, c = grid.shape
    runs = grid.reshape(-1, rows, width // columns, columns * c)  # [strips, rows, windows, run]
    return runs.transpose(1, 2).reshape(b, -1, rows * columns, c)


def laid(windows: Tensor, rows: int, columns: int, width: int) -> Tensor:
    """Windows `[B, windows, rows · columns, C]` side by side, a map `[B, H, W, C]` of `width` columns."""
    b, _, _, c = windows.shape
    runs = windows.reshape(-1, width // columns, rows, columns * c)  # [strips, windows, rows, run]
    return runs.transpose(1, 2).reshape(b, -1, width, c)
