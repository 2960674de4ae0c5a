"""Cascaded group attention (Liu et al., 2023), the attention of EfficientViT.

Heads come one after the other. Each has its own share x_i of the input's channels, and adds to it what the
head before it gave. In windows of w × w tokens, with queries and keys of `key` channels and values of D:

    f_0 = x_0,     f_i = x_i + y_(i-1)
    q, k, v = norm(W_i f_i),     q = norm(depthwise_i(q))
    y_i = softmax(q kᵀ / √key + table_i[|Δrow|, |Δcolumn|]) v
    out = norm(W ReLU([y_0 ; … ; y_(h-1)]))

Norms are batch norms, and nothing else has a bias. The depthwise convolution is 7 × 7 in the first head,
5 × 5 in the second and 3 × 3 in the others; it reads zeros outside its window. The last norm starts at a
weight of 1, where the authors start at 0 for the sake of a residual: a fresh layer would give nothing.

A window larger than the map's shorter side shrinks to it. A map that windows do not divide is zero-padded at
the bottom and right, padded tokens take part like any other, and the output is cropped.

MACs for N tokens of C channels, kernels of κ_i: NC(2 key + D) for queries, keys and values, N key Σκ_i² for
the convolutions, hNw²(key + D) for the attention, NC² for W, 2N(3h key + 2C) for the norms. N is the padded
number of tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend
from mechanisms._maps import as_map, as_tokens, merge_windows, pad, round_up

KERNELS = (7, 5, 3)  # of the first heads' convolutions; the last one of all others too


class Head(nn.Module):
    """Attention inside windows by one head, from and to `[windows, w², D]`."""

    def __init__(self, channels: int, key: int, kernel: int) -> None:
        super().__init__()
        self.key = key
        self.qkv = nn.Linear(channels, 2 * key + channels, bias=False)
        self.norm = nn.BatchNorm2d(2 * key + channels)
        self.local = nn.Conv2d(key, key, kernel, padding=kernel // 2, groups=key, bias=False)
        self.local_norm = nn.BatchNorm2d(key)

    def forward(self, f: Tensor, bias: Tensor, window: int) -> Tensor:
        """Attend with a bias `[w², w²]`."""
        images = self.norm(_as_images(self.qkv(f), window))
        q, k, v = images.split((self.key, self.key, f.shape[-1]), dim=1)
        q = self.local_norm(self.local(q))
        q, k, v = (as_tokens(part).unsqueeze(1) for part in (q, k, v))
        return attend(q, k, v, bias).squeeze(1)


class CascadedGroupAttention(nn.Module):
    """Attention inside windows whose heads read one another, in a row."""

    steps: Tensor

    def __init__(self, geometry: Geometry, *, window: int, key: int) -> None:
        super().__init__()
        geometry.require_shared_channels()
        _check(window, key)
        self.geometry = geometry
        self.window = _fit(geometry, window)
        self.height, self.width = _padded(geometry, self.window)
        c = geometry.dim
        self.heads = nn.ModuleList(
            Head(geometry.head_dim, key, kernel) for kernel in _kernels(geometry.heads)
        )
        self.table = nn.Parameter(torch.zeros(geometry.heads, self.window**2))
        self.proj = nn.Linear(c, c, bias=False)
        self.proj_norm = nn.BatchNorm2d(c)
        self.register_buffer("steps", _steps(self.window), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        w, heads = self.window, self.geometry.heads
        grid = pad(as_map(x, self.geometry), self.height, self.width)
        cut = grid.unflatten(2, (-1, w)).unflatten(1, (-1, w)).transpose(2, 3)  # [B, H/w, W/w, w, w, C]
        shares = cut.flatten(3, 4).flatten(0, 2).unflatten(-1, (heads, -1)).unbind(-2)  # [windows, w², D]
        biases = self.table.index_select(1, self.steps).unflatten(1, (w**2, w**2))

        outs: list[Tensor] = []
        for head, share, bias in zip(self.heads, shares, biases, strict=True):
            outs.append(head(share + outs[-1] if outs else share, bias, w))
        out = self.proj_norm(_as_images(self.proj(F.relu(torch.cat(outs, dim=-1))), w))

        windows = as_tokens(out).unflatten(0, (len(x), -1)).unsqueeze(2)  # [B, windows, 1, w², C]
        merged = merge_windows(windows, self.height, self.width, w, w)
        return merged[:, : self.geometry.height, : self.geometry.width].flatten(1, 2)


def _as_images(tokens: Tensor, side: int) -> Tensor:
    """View windows `[windows, w², C]` as images `[windows, C, w, w]` in channels-last memory."""
    return tokens.unflatten(1, (side, side)).permute(0, 3, 1, 2)


def _steps(side: int) -> Tensor:
    """|Δrow| · w + |Δcolumn| between all tokens of a window, `[w⁴]`."""
    row, column = torch.arange(side).repeat_interleave(side), torch.arange(side).repeat(side)
    rows, columns = ((places.unsqueeze(1) - places).abs() for places in (row, column))
    return (rows * side + columns).flatten()


def _kernels(heads: int) -> list[int]:
    return [KERNELS[min(head, len(KERNELS) - 1)] for head in range(heads)]


def _fit(geometry: Geometry, window: int) -> int:
    """The side of the windows on this map."""
    return min(window, geometry.height, geometry.width)


def _padded(geometry: Geometry, window: int) -> tuple[int, int]:
    """Height and width of the map in whole windows."""
    return round_up(geometry.height, window), round_up(geometry.width, window)


def _check(window: int, key: int) -> None:
    for name, value in (("window", window), ("key", key)):
        if value < 1:
            raise InvalidSetting(f"cascaded-group: {name} is {value}; it must be at least 1.")


def macs(geometry: Geometry, *, window: int, key: int) -> int:
    w, c, d, heads = _fit(geometry, window), geometry.dim, geometry.head_dim, geometry.heads
    height, width = _padded(geometry, w)
    n = height * width
    convolutions = n * key * sum(kernel**2 for kernel in _kernels(heads))
    norms = 2 * n * (3 * heads * key + 2 * c)
    return n * c * (2 * key + d) + convolutions + heads * n * w**2 * (key + d) + n * c**2 + norms


cascaded_group = Mechanism(
    name="cascaded-group",
    title="Cascaded Group",
    build=CascadedGroupAttention,
    macs=macs,
    settings={"window": 7, "key": 16},
    paper=Paper(
        title="EfficientViT: Memory Efficient Vision Transformer with Cascaded Group Attention",
        venue="CVPR",
        year=2023,
        url="https://arxiv.org/abs/2305.07027",
    ),
    family="windows",
)
