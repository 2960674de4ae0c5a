"""Focal attention (Yang et al., 2021).

The map is cut into windows of w × w tokens. The tokens of a window attend finely to what is near and
coarsely to what is far: their keys are, in this order,

- the w² tokens of their own window;
- the ring: the map is rolled by (±e, ±e), e being `expand`, and of the window at the same place in each of
  the four rolled maps those cells are taken that fall outside the own window. While 2e ≤ w they surround it
  e tokens deep; a cell that two of the rolled windows hold is two keys. A roll is circular: at a border of
  the map the ring continues on the opposite side;
- f × f pooled tokens, f being `focal_window`: each window of the input is summed to one token with weights
  that all channels share, the pooled tokens are projected as the others are, and those of the window and of
  its neighbours are taken. Where there is no neighbour, the mask is -100.

    out = softmax(q kᵀ / √D + bias + mask) v

The bias is learned per head: a table of relative positions for the own window (query cell - key cell + w - 1,
row and column) and for the pooled tokens (query cell - pooled cell + f - 1), a free number for every query
and ring slot. When one side of the map is no longer than w, the window shrinks to that side and there is no
ring, nor a parameter `ring_bias`.

MACs for N tokens of C channels, M = N/w² windows, K = w² + 4 (w² - (w - e)²) + f² keys: 4NC² for the
projections, 3MC² to project the pooled tokens, NC to pool them, 2NKC for the attention.

A map that windows do not divide follows the authors' code: the input is zero-padded at the bottom and
right, padded tokens take part unmasked everywhere, and the output is cropped after the last projection. N
above is then the padded number of tokens.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend
from mechanisms._images import few_images_at_a_time
from mechanisms._maps import as_map, as_tokens, merge_windows, pad, round_up

Place = tuple[int, int]


class FocalAttention(nn.Module):
    """Attention of windows to themselves, to the ring around them and to pooled windows."""

    queries: Tensor
    keys: Tensor
    mask: Tensor
    own_index: Tensor
    pooled_index: Tensor

    def __init__(self, geometry: Geometry, window: int, expand: int, focal_window: int) -> None:
        super().__init__()
        geometry.require_shared_channels()
        _check(window, expand, focal_window)
        w, e = _fit(geometry, window, expand)
        f, heads = focal_window, geometry.heads
        own, ring, pooled = _grid(w, w), _ring(w, e), _grid(f, f)
        self.geometry = geometry
        self.window = w
        self.height, self.width = round_up(geometry.height, w), round_up(geometry.width, w)

        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        self.pool = nn.Linear(w**2, 1)
        nn.init.constant_(self.pool.weight, 1 / w**2)
        nn.init.zeros_(self.pool.bias)
        self.own_bias = nn.Parameter(torch.zeros((2 * w - 1) ** 2, heads))
        self.ring_bias = _normal(1, heads, w**2, len(ring)) if ring else None
        self.pooled_bias = _normal(heads, (w + f - 1) ** 2)

        fine, coarse, mask = self._keys(own + ring, pooled, centre=f // 2)
        self.register_buffer("queries", fine[:, : w**2].flatten(), persistent=False)
        self.register_buffer("keys", torch.cat([fine, coarse], dim=-1).flatten(), persistent=False)
        mask = F.pad(mask, (fine.shape[-1], 0)).unsqueeze(1)  # [M, 1, K]
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("own_index", _relative(own, own, w), persistent=False)
        self.register_buffer("pooled_index", _relative(own, pooled, f), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        grid = pad(as_map(x, self.geometry), self.height, self.width)
        tokens = torch.cat([grid.flatten(1, 2), self.pooled(grid)], dim=1)  # [B, N + M, C]
        out = few_images_at_a_time(partial(self.attend_windows, bias=self.bias()), self.qkv(tokens))
        return self.proj(out)[:, : self.geometry.height, : self.geometry.width].flatten(1, 2)

    def attend_windows(self, qkv: Tensor, bias: Tensor) -> Tensor:
        """Attention of projected tokens `[B, N + M, 3C]` in their windows: a map `[B, H, W, C]`."""
        q = self.take(qkv, 0, self.queries, self.window**2)
        k, v = (self.take(qkv, part, self.keys, bias.shape[-1]) for part in (1, 2))

        # Heads and windows are one dimension here: the bias of both broadcasts over images without a copy.
        out = attend(q.flatten(1, 2), k.flatten(1, 2), v.flatten(1, 2), bias)  # [B, heads · M, w², D]
        windows = out.unflatten(1, q.shape[1:3]).transpose(1, 2)
        return merge_windows(windows, self.height, self.width, self.window, self.window)

    def take(self, qkv: Tensor, part: int, tokens: Tensor, count: int) -> Tensor:
        """`count` tokens for each window of a part of `[B, N + M, 3C]`, `[B, heads, M, count, D]`.

        To copy rows of a matrix, here a head of one token each, is the fastest way to gather.
        """
        images = torch.arange(len(qkv), device=qkv.device).view(-1, 1, 1)
        heads = torch.arange(self.geometry.heads, device=qkv.device).view(-1, 1)
        rows = ((images * qkv.shape[1] + tokens) * 3 + part) * len(heads) + heads  # [B, heads, M · count]
        taken = qkv.unflatten(-1, (3 * len(heads), -1)).flatten(0, 2).index_select(0, rows.flatten())
        return taken.view(len(qkv), len(heads), -1, count, taken.shape[-1])

    def pooled(self, grid: Tensor) -> Tensor:
        """One token for each window of a map `[B, H, W, C]`: `[B, M, C]`.

        The linear map from w² tokens to one, as a convolution whose channels share a kernel, copies nothing.
        """
        c, w = self.geometry.dim, self.window
        kernel = self.pool.weight.view(1, 1, w, w).expand(c, -1, -1, -1)
        pooled = F.conv2d(grid.permute(0, 3, 1, 2), kernel, self.pool.bias.expand(c), stride=w, groups=c)
        return as_tokens(pooled)

    def bias(self) -> Tensor:
        """What is added to the logits of every head and window, `[heads · M, w², K]`."""
        queries = self.window**2
        own = self.own_bias.index_select(0, self.own_index).unflatten(0, (queries, queries)).permute(2, 0, 1)
        pooled = self.pooled_bias.index_select(1, self.pooled_index).unflatten(1, (queries, -1))
        tables = [own, pooled] if self.ring_bias is None else [own, self.ring_bias[0], pooled]
        return (torch.cat(tables, dim=-1).unsqueeze(1) + self.mask).flatten(0, 1)

    def _keys(self, fine: list[Place], coarse: list[Place], centre: int) -> tuple[Tensor, Tensor, Tensor]:
        """Each window's tokens at the places `fine` and `coarse`, and the mask of the coarse ones.

        Places `fine` count from the window's first token, `coarse` in windows from `centre` before it. Tokens
        are numbered row by row, those of the padded map before the pooled ones.
        """
        rows, columns = self.height // self.window, self.width // self.window
        window_rows, window_columns = torch.tensor(_grid(rows, columns)).unsqueeze(-1).unbind(1)  # [M, 1]

        down, right = torch.tensor(fine).unbind(1)
        down = (window_rows * self.window + down) % self.height
        right = (window_columns * self.window + right) % self.width
        fine_tokens = down * self.width + right

        down, right = torch.tensor(coarse).unbind(1)
        down, right = window_rows + down - centre, window_columns + right - centre
        exists = (down >= 0) & (down < rows) & (right >= 0) & (right < columns)
        # What stands behind the mask does not matter: e^-100 of its weight is left.
        nearest = down.clamp(0, rows - 1) * columns + right.clamp(0, columns - 1)
        return fine_tokens, self.height * self.width + nearest, torch.where(exists, 0.0, -100.0)


def _normal(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


def _grid(rows: int, columns: int) -> list[Place]:
    return [(row, column) for row in range(rows) for column in range(columns)]


def _ring(window: int, expand: int) -> list[Place]:
    """The cells of the four rolled windows outside the own one, counted from its first token."""
    places = [
        (row + down, column + right)
        for down in (expand, -expand)
        for right in (expand, -expand)
        for row, column in _grid(window, window)
    ]
    return [place for place in places if not all(0 <= step < window for step in place)]


def _relative(queries: list[Place], keys: list[Place], keys_side: int) -> Tensor:
    """The entry of a table of relative positions for each query and key, in one dimension."""
    side = math.isqrt(len(queries)) + keys_side - 1
    shift = torch.tensor(queries).unsqueeze(1) - torch.tensor(keys) + keys_side - 1  # [queries, keys, 2]
    return (shift[..., 0] * side + shift[..., 1]).flatten()


def _fit(geometry: Geometry, window: int, expand: int) -> tuple[int, int]:
    """Window and expand as they fit the map: one side no longer than the window leaves no room for a ring."""
    shortest = min(geometry.height, geometry.width)
    return (shortest, 0) if shortest <= window else (window, expand)


def _check(window: int, expand: int, focal_window: int) -> None:
    if window < 1:
        raise InvalidSetting(f"focal: window is {window}; it must be at least 1.")
    if not 0 <= expand <= window:
        raise InvalidSetting(f"focal: expand is {expand}; it must lie between 0 and the window, {window}.")
    if focal_window < 1 or focal_window % 2 == 0:
        raise InvalidSetting(
            f"focal: focal_window is {focal_window}; it must be odd and at least 1, to have a centre."
        )


def macs(geometry: Geometry, window: int, expand: int, focal_window: int) -> int:
    w, e = _fit(geometry, window, expand)
    n, c = round_up(geometry.height, w) * round_up(geometry.width, w), geometry.dim
    m = n // w**2
    k = w**2 + 4 * (w**2 - (w - e) ** 2) + focal_window**2
    return 4 * n * c**2 + 3 * m * c**2 + n * c + 2 * n * k * c


focal = Mechanism(
    name="focal",
    title="Focal",
    build=FocalAttention,
    macs=macs,
    paper=Paper(
        title="Focal Self-attention for Local-Global Interactions in Vision Transformers",
        venue="NeurIPS",
        year=2021,
        url="https://arxiv.org/abs/2107.00641",
    ),
    family="windows",
    settings={"window": 7, "expand": 3, "focal_window": 3},
)
