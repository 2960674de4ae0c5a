"""Window attention, plain and shifted (Liu et al., 2021): Swin's W-MSA and SW-MSA.

The map is cut into windows of w × w tokens, and every token attends to the tokens of its window:

    out = softmax(q kᵀ / √D + mask) v

Without a shift there is no mask. With a shift of s, windows are cut from the map rolled by (-s, -s), so
that they straddle the borders of the plain ones; the roll brings tokens from opposite sides of the map
together in its last row and column of windows. Rows are therefore labelled [0, H-w), [H-w, H-s), [H-s, H),
columns likewise, and the mask is -100 between tokens of unlike label, 0 between others. There is no
position term: Table IV has it off.

The value of the mask is a setting, because it decides the speed of forms that multiply what it leaves: e^-100
is a subnormal number in float32, which many CPUs multiply slowly, while -1000 leaves nothing of a weight. On
a CPU the explicit kernel multiplies zeros instead, which gives the same output.

MACs for N tokens of C channels: 4NC² for the projections, 2Nw²C for the attention.

A map that windows do not divide follows Swin's code for dense prediction: the input is zero-padded at the
bottom and right before it is projected (and so before the roll), padded tokens take part like any other,
and the output is cropped after the last projection. N above is then the padded number of tokens. A window
larger than the map is padded to as well.
"""

import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend
from mechanisms._maps import as_map, merge_windows, pad, round_up, split_windows


class WindowAttention(nn.Module):
    """Attention inside windows, which may be shifted against the map."""

    order: Tensor
    back: Tensor
    mask: Tensor

    def __init__(self, geometry: Geometry, window: int, shift: int, mask: float = -100.0) -> None:
        super().__init__()
        geometry.require_shared_channels()
        if window < 1:
            raise InvalidSetting(f"window attention: window is {window}; it must be at least 1.")
        if not 0 <= shift < window:
            raise InvalidSetting(
                f"window attention: shift is {shift}; it must be at least 0 and below the window, {window}."
            )
        self.geometry = geometry
        self.window = window
        self.shift = shift
        self.height, self.width = round_up(geometry.height, window), round_up(geometry.width, window)
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        if shift:
            order = self._rolled_windows().flatten()
            self.register_buffer("order", order, persistent=False)  # the token at each place in the windows
            self.register_buffer("back", order.argsort(), persistent=False)  # the place of each token
            self.register_buffer("mask", self._mask(mask), persistent=False)  # [windows, w², w²]

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        x = pad(as_map(x, self.geometry), self.height, self.width)
        out = self.proj(self.shifted(x) if self.shift else self.plain(x))
        return out[:, : self.geometry.height, : self.geometry.width].flatten(1, 2)

    def plain(self, x: Tensor) -> Tensor:
        """Attention inside the windows of a map, from and to `[B, H, W, C]`.

        The input is cut, not its projection, which is three times as large.
        """
        w = self.window
        windows = x.unflatten(2, (-1, w)).unflatten(1, (-1, w)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        qkv = self.qkv(windows).unflatten(-1, (3, self.geometry.heads, -1))
        heads = attend(*qkv.permute(3, 0, 1, 4, 2, 5))  # [B, windows, heads, w², D]
        return merge_windows(heads, self.height, self.width, w, w)

    def shifted(self, x: Tensor) -> Tensor:
        """As `plain`, inside the windows of the rolled map.

        Rolling and cutting are one gather, and so are joining and rolling back. Heads stand before windows,
        so that the mask broadcasts over images and heads at once.
        """
        parts = self.qkv(x).flatten(1, 2).unflatten(-1, (3, self.geometry.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = parts.index_select(3, self.order).unflatten(3, (-1, self.window**2))
        heads = attend(q, k, v, self.mask, masked=True)  # [B, heads, windows, w², D]
        # Gathered along dimension 1, torch would first make its input contiguous: a second copy.
        tokens = heads.flatten(2, 3).transpose(1, 2).unsqueeze(0).index_select(2, self.back)
        return tokens.squeeze(0).flatten(2).unflatten(1, (self.height, self.width))

    def _rolled_windows(self) -> Tensor:
        """The tokens in each window of the rolled map, by their numbers before the roll: `[windows, w²]`."""
        tokens = torch.arange(self.height * self.width).view(self.height, self.width)
        return self._cut(tokens.roll((-self.shift, -self.shift), (0, 1)))

    def _mask(self, value: float) -> Tensor:
        """`value` between tokens that only the roll made neighbours, `[windows, w², w²]`."""
        rows, columns = (self._labels(length) for length in (self.height, self.width))
        regions = self._cut(3 * rows[:, None] + columns)
        return torch.where(regions[:, :, None] == regions[:, None, :], 0.0, value)

    def _labels(self, length: int) -> Tensor:
        """Along a rolled side: 0 before the last window, 1 in it, 2 where the roll has brought the start."""
        places = torch.arange(length)
        return (places >= length - self.window).long() + (places >= length - self.shift).long()

    def _cut(self, grid: Tensor) -> Tensor:
        """Cut a grid `[H, W]` of numbers into windows `[windows, w²]`."""
        cells = split_windows(grid[None, ..., None, None, None], self.window, self.window)
        return cells.reshape(-1, self.window**2)


def macs(geometry: Geometry, window: int, shift: int, mask: float = -100.0) -> int:  # noqa: ARG001 - both are free
    n, c = round_up(geometry.height, window) * round_up(geometry.width, window), geometry.dim
    return 4 * n * c**2 + 2 * n * window**2 * c


SWIN = Paper(
    title="Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
    venue="ICCV",
    year=2021,
    url="https://arxiv.org/abs/2103.14030",
)

local_window = Mechanism(
    name="local-window",
    title="Local Window",
    build=WindowAttention,
    macs=macs,
    paper=SWIN,
    family="windows",
    settings={"window": 7, "shift": 0},
)

shifted_window = Mechanism(
    name="shifted-window",
    title="Shifted Window",
    build=WindowAttention,
    macs=macs,
    paper=SWIN,
    family="windows",
    settings={"window": 7, "shift": 3, "mask": -100.0},
)
