"""Cross-shaped window attention (Dong et al., 2022): CSWin.

Half of the heads attend inside vertical stripes of H × stripe tokens, the other half inside horizontal
stripes of stripe × W, so that a token sees a cross. The halves are the first and the second C/2 channels of
q, k and v. In each stripe

    out = softmax(q kᵀ / √D) v + LePE(v),

where LePE, a locally enhanced position encoding, is a depthwise 3 × 3 convolution of the half. It works
stripe by stripe: its zero padding is at the borders of the stripe, not of the map. The halves are
concatenated and projected.

MACs for N tokens of C channels: 4NC² for the projections, stripe · C (H²W + W²H) for the attention, 9NC for
LePE.

A side that stripes do not divide follows the authors' code for dense prediction: q, k and v are zero-padded
after their projection, half of the padding (the smaller half) at the top or left, and only in the branch
that cuts this side; padded tokens are keys like any other, and the output is cropped before the last
projection. The W of H²W and the H of W²H are then the padded ones, and 9NC is 9/2 C for each token of
either branch. A stripe broader than the map is padded to as well.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from attnbench.attention import attend
from mechanisms._maps import as_map, merge_windows, round_up


class CrossWindowAttention(nn.Module):
    """Attention inside vertical stripes in half of the heads, inside horizontal ones in the other half."""

    def __init__(self, geometry: Geometry, stripe: int) -> None:
        super().__init__()
        geometry.require_shared_channels()
        if stripe < 1:
            raise InvalidSetting(f"cross-window: stripe is {stripe}; it must be at least 1.")
        if geometry.heads % 2:
            raise UnsupportedGeometry(
                f"cross-window: {geometry.heads} heads cannot be shared equally by vertical and horizontal "
                "stripes; choose an even number of --heads."
            )
        self.geometry = geometry
        self.stripes = ((geometry.height, stripe), (stripe, geometry.width))
        half = geometry.dim // 2
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.lepe = nn.ModuleList(nn.Conv2d(half, half, 3, padding=1, groups=half) for _ in self.stripes)
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        qkv = as_map(self.qkv(x), self.geometry).unflatten(-1, (3, 2, self.geometry.heads // 2, -1))
        halves = [
            self.branch(half, lepe, rows, columns)
            for half, lepe, (rows, columns) in zip(qkv.unbind(4), self.lepe, self.stripes, strict=True)
        ]
        return self.proj(torch.cat(halves, dim=-1).flatten(1, 2))

    def branch(self, qkv: Tensor, lepe: nn.Module, rows: int, columns: int) -> Tensor:
        """Attention inside stripes of `rows` × `columns`: `[B, H, W, 3, heads/2, D]` to `[B, H, W, C/2]`."""
        height, width = round_up(self.geometry.height, rows), round_up(self.geometry.width, columns)
        top, left = (height - self.geometry.height) // 2, (width - self.geometry.width) // 2
        if (height, width) != (self.geometry.height, self.geometry.width):
            bottom, right = height - self.geometry.height - top, width - self.geometry.width - left
            qkv = F.pad(qkv, (0, 0, 0, 0, 0, 0, left, right, top, bottom))
        q, k, v = cut_stripes(qkv, rows, columns)
        heads = attend(q.transpose(2, 3), k.transpose(2, 3), v.transpose(2, 3))

        images = v.flatten(3).unflatten(2, (rows, columns)).flatten(0, 1).permute(0, 3, 1, 2)
        local = lepe(images).permute(0, 2, 3, 1).reshape(v.shape).transpose(2, 3)
        # In place: fresh from a convolution, in whose channels-last memory the merge has less to reorder.
        half = merge_windows(local.add_(heads), height, width, rows, columns)
        return half[:, top : top + self.geometry.height, left : left + self.geometry.width]


def cut_stripes(x: Tensor, rows: int, columns: int) -> Tensor:
    """Cut packed projections `[B, H, W, 3, heads/2, D]` into `[3, B, stripes, rows · columns, heads/2, D]`.

    Heads stay beside their channels, as LePE reads the values. Stripes as wide as the map are a view.
    """
    x = x.unflatten(2, (-1, columns)).unflatten(1, (-1, rows))
    return x.permute(5, 0, 1, 3, 2, 4, 6, 7).flatten(4, 5).flatten(2, 3)


def macs(geometry: Geometry, stripe: int) -> int:
    h, w, c = geometry.height, geometry.width, geometry.dim
    padded_h, padded_w = round_up(h, stripe), round_up(w, stripe)
    attention = stripe * c * (h**2 * padded_w + w**2 * padded_h)
    lepe = 9 * c * (h * padded_w + w * padded_h) // 2
    return 4 * h * w * c**2 + attention + lepe


cross_window = Mechanism(
    name="cross-window",
    title="Cross Window",
    build=CrossWindowAttention,
    macs=macs,
    paper=Paper(
        title="CSWin Transformer: A General Vision Transformer Backbone with Cross-Shaped Windows",
        venue="CVPR",
        year=2022,
        url="https://arxiv.org/abs/2107.00652",
    ),
    family="windows",
    settings={"stripe": 7},
)
