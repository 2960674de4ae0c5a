"""Moves between tokens and maps that several mechanisms share.

Tokens `[B, N, C]` read as a map `[B, H, W, C]`, and as a channels-first map whose memory stays channels-last,
are views: nothing is copied.
"""

import torch.nn.functional as F
from torch import Tensor

from attnbench import Geometry


def as_map(tokens: Tensor, geometry: Geometry) -> Tensor:
    """View tokens `[B, N, C]` as a map `[B, H, W, C]`."""
    return tokens.unflatten(1, (geometry.height, geometry.width))


def as_channels_first(tokens: Tensor, geometry: Geometry) -> Tensor:
    """View tokens `[B, N, C]` as a convolution's input `[B, C, H, W]` in channels-last memory."""
    return as_map(tokens, geometry).permute(0, 3, 1, 2)


def as_tokens(channels_first: Tensor) -> Tensor:
    """Read a convolution's output `[B, C, H, W]` as tokens `[B, N, C]`: a view of channels-last memory."""
    return channels_first.permute(0, 2, 3, 1).flatten(1, 2)


def round_up(length: int, multiple: int) -> int:
    """The least multiple of `multiple` that is not below `length`."""
    return -(-length // multiple) * multiple


def pad(x: Tensor, height: int, width: int) -> Tensor:
    """Zero-pad a map `[B, H, W, C]` at the bottom and right; the map itself if it has that size."""
    rows, columns = height - x.shape[1], width - x.shape[2]
    return F.pad(x, (0, 0, 0, columns, 0, rows)) if rows or columns else x


def split_windows(x: Tensor, rows: int, columns: int) -> Tensor:
    """Cut a map of packed projections into windows, row-major, with one copy.

    `x` is `[B, H, W, parts, heads, D]`, H a multiple of `rows` and W of `columns`. Returns
    `[parts, B, windows, heads, rows · columns, D]`: queries, keys and values as `attend` takes them.
    """
    x = x.unflatten(2, (-1, columns)).unflatten(1, (-1, rows))
    x = x.permute(5, 0, 1, 3, 6, 2, 4, 7)  # [parts, B, H/rows, W/columns, heads, rows, columns, D]
    return x.contiguous().flatten(5, 6).flatten(2, 3)  # in one copy, where matmuls would make one each


def merge_windows(x: Tensor, height: int, width: int, rows: int, columns: int) -> Tensor:
    """Lay windows `[B, windows, heads, rows · columns, D]` side by side as a map `[B, H, W, heads · D]`."""
    x = x.unflatten(3, (rows, columns)).unflatten(1, (height // rows, width // columns))
    return x.permute(0, 1, 4, 2, 5, 3, 6).flatten(5).flatten(3, 4).flatten(1, 2)
