"""HiLo attention (Pan, Cai and Zhuang, 2022).

High frequencies of a map are local detail, low frequencies its coarse structure, so the heads are divided
between two branches. Of h heads, l = int(h · α) are Lo-Fi and the other h - l are Hi-Fi, which makes
D_l = l · C/h and D_h = C - D_l channels:

    Hi-Fi: inside each window of s × s tokens, softmax(q kᵀ / √D) v, then a projection D_h -> D_h
    Lo-Fi: q from every token, k and v from the mean of each window, softmax(q kᵀ / √D) v, then D_l -> D_l
    out = [Hi-Fi ; Lo-Fi] along the channels, with no projection across the two

A window of one token leaves nothing to divide: every head is Lo-Fi, whatever α, and the layer is softmax
attention.

With `pooled_queries`, from the paper's appendix, Lo-Fi's queries come from the means too, and its output,
projected, is interpolated between their places, bilinearly.

MACs for N tokens of C channels, M = N/s² windows:
Hi-Fi 3NCD_h + 2Ns²D_h + ND_h², Lo-Fi NCD_l + 2MCD_l + 2NMD_l + ND_l². With pooled queries Lo-Fi has M for N
there, and 4ND_l for the interpolation.

A map that windows do not divide follows the authors' code for dense prediction: the input is zero-padded at
the bottom and right, padded tokens take part unmasked in windows, means and queries, and the output is
cropped. N above is then the padded number of tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Branch, Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend
from mechanisms._maps import as_map, merge_windows, pad, round_up, split_windows


class HiLo(nn.Module):
    """Window attention in some heads, attention to window means in the others."""

    def __init__(
        self, geometry: Geometry, alpha: float, window: int, *, pooled_queries: bool = False
    ) -> None:
        super().__init__()
        self.geometry = geometry
        self.window = window
        self.pooled_queries = pooled_queries and window > 1
        self.high_heads, self.low_heads = split_heads(geometry, alpha, window)
        c = geometry.dim
        if self.high_heads:
            d_h = self.high_heads * geometry.head_dim
            self.h_qkv = nn.Linear(c, 3 * d_h)
            self.h_proj = nn.Linear(d_h, d_h)
        if self.low_heads:
            d_l = self.low_heads * geometry.head_dim
            self.pool = nn.AvgPool2d(window) if window > 1 else nn.Identity()
            self.l_q = nn.Linear(c, d_l)
            self.l_kv = nn.Linear(c, 2 * d_l)
            self.l_proj = nn.Linear(d_l, d_l)

    def hi_fi(self, x: Tensor) -> Tensor:
        """Map `[B, H, W, C]`, whole windows, to the Hi-Fi channels `[B, H, W, D_h]`."""
        s = self.window
        q, k, v = split_windows(self.h_qkv(x).unflatten(-1, (3, self.high_heads, -1)), s, s)
        heads = attend(q, k, v)  # [B, M, heads, s², D]
        return self.h_proj(merge_windows(heads, x.shape[1], x.shape[2], s, s))

    def lo_fi(self, x: Tensor) -> Tensor:
        """Map `[B, H, W, C]`, whole windows, to the Lo-Fi channels `[B, H, W, D_l]`."""
        means = self.pool(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # [B, H/s, W/s, C]
        asking = means if self.pooled_queries else x
        q = self.l_q(asking).flatten(1, 2).unflatten(-1, (self.low_heads, -1)).transpose(1, 2)
        kv = self.l_kv(means.flatten(1, 2)).unflatten(-1, (2, self.low_heads, -1))
        k, v = kv.permute(2, 0, 3, 1, 4)  # each [B, heads, M, D]
        heads = attend(q, k, v)  # [B, heads, N, D]
        out = self.l_proj(heads.transpose(1, 2).flatten(2)).unflatten(1, asking.shape[1:3])
        return enlarge(out, self.window) if self.pooled_queries else out

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        height, width = self.geometry.height, self.geometry.width
        x = pad(as_map(x, self.geometry), round_up(height, self.window), round_up(width, self.window))

        branches = ((self.hi_fi, self.high_heads), (self.lo_fi, self.low_heads))
        parts = [branch(x)[:, :height, :width] for branch, heads in branches if heads]
        out = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        return out.flatten(1, 2)


def enlarge(x: Tensor, times: int) -> Tensor:
    """Interpolate a map `[B, H, W, C]` to `[B, H · times, W · times, C]`."""
    channels_first = x.permute(0, 3, 1, 2)
    return F.interpolate(channels_first, scale_factor=times, mode="bilinear").permute(0, 2, 3, 1)


def split_heads(geometry: Geometry, alpha: float, window: int) -> tuple[int, int]:
    """How many heads are Hi-Fi, and how many Lo-Fi."""
    if not 0 <= alpha <= 1:
        raise InvalidSetting(f"hilo: alpha is {alpha}; it must lie between 0 and 1.")
    if window < 1:
        raise InvalidSetting(f"hilo: window is {window}; it must be at least 1.")
    low = geometry.heads if window == 1 else int(geometry.heads * alpha)
    return geometry.heads - low, low


def hi_fi_channels(geometry: Geometry, alpha: float, window: int, **_: bool) -> int:
    return split_heads(geometry, alpha, window)[0] * geometry.head_dim


def lo_fi_channels(geometry: Geometry, alpha: float, window: int, **_: bool) -> int:
    return split_heads(geometry, alpha, window)[1] * geometry.head_dim


def macs(geometry: Geometry, alpha: float, window: int, pooled_queries: bool = False) -> int:
    return hi_fi_macs(geometry, alpha, window) + lo_fi_macs(geometry, alpha, window, pooled_queries)


def hi_fi_macs(geometry: Geometry, alpha: float, window: int, **_: bool) -> int:
    d, c = hi_fi_channels(geometry, alpha, window), geometry.dim
    n = _padded_tokens(geometry, window)
    return 3 * n * c * d + 2 * n * window**2 * d + n * d**2


def lo_fi_macs(geometry: Geometry, alpha: float, window: int, pooled_queries: bool = False) -> int:
    d, c = lo_fi_channels(geometry, alpha, window), geometry.dim
    n = _padded_tokens(geometry, window)
    m = n // window**2
    if pooled_queries and window > 1:
        return 3 * m * c * d + 2 * m**2 * d + m * d**2 + 4 * n * d
    return n * c * d + 2 * m * c * d + 2 * n * m * d + n * d**2


def _padded_tokens(geometry: Geometry, window: int) -> int:
    return round_up(geometry.height, window) * round_up(geometry.width, window)


hilo = Mechanism(
    name="hilo",
    title="HiLo",
    build=HiLo,
    macs=macs,
    paper=Paper(
        title="Fast Vision Transformers with HiLo Attention",
        venue="NeurIPS",
        year=2022,
        url="https://arxiv.org/abs/2205.13213",
    ),
    family="windows",
    settings={"alpha": 0.9, "window": 2, "pooled_queries": False},
    branches=(Branch("Hi-Fi", hi_fi_macs, hi_fi_channels), Branch("Lo-Fi", lo_fi_macs, lo_fi_channels)),
)
