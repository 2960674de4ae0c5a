"""Bi-level routing attention (Zhu et al., 2023): the attention of BiFormer.

The map is cut into R × R regions, and regions choose regions before tokens attend to tokens. With q̄ and k̄
the means of q and k over the tokens of each region, over all C channels, heads together,

    A = q̄ k̄ᵀ,  R² × R²
    out = softmax(q kᵀ / √C) v,  where k and v are the tokens of the K regions with the largest A
    out = proj(out + LePE(v))

A region chooses for all its tokens and heads. The choice has no gradient. The scale is that of the layer's
width C, and not of a head's D. LePE, a locally enhanced position encoding, is a depthwise convolution of the
map of values.

MACs for N tokens of C channels, M = R² regions and a LePE of L × L: 4NC² for the projections, M²C for the
choice, 2NKC · N/M for the attention, L²NC for LePE. With a fixed K the attention grows with N²: the authors
choose fewer regions where maps are larger.

A map that regions do not divide is zero-padded at the bottom and right before it is projected, padded tokens
take part like any other, also in the means, and the output is cropped after the last projection. N above is
then the padded number of tokens.
"""

import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend
from mechanisms._images import few_images_at_a_time
from mechanisms._maps import as_map, merge_windows, pad, round_up


class BiLevelRoutingAttention(nn.Module):
    """Attention of the tokens of a region to those of the regions that it resembles most."""

    def __init__(self, geometry: Geometry, *, regions: int, topk: int, lepe: int) -> None:
        super().__init__()
        geometry.require_shared_channels()
        _check(regions, topk, lepe)
        c = geometry.dim
        self.geometry = geometry
        self.regions = regions
        self.topk = topk
        self.height, self.width = round_up(geometry.height, regions), round_up(geometry.width, regions)
        self.cell = (self.height // regions, self.width // regions)  # tokens of a region
        self.qkv = nn.Linear(c, 3 * c)
        self.lepe = nn.Conv2d(c, c, lepe, padding=lepe // 2, groups=c)
        self.proj = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        heads = self.geometry.heads
        qkv = self.qkv(pad(as_map(x, self.geometry), self.height, self.width))
        q, k, v = self.cut(qkv.unflatten(-1, (3, heads, -1)))
        chosen = self.choose(q, k).unsqueeze(1).expand(-1, heads, -1, -1)

        # Heads of images are apart as images are, and what one of them gathers fits a CPU's caches.
        parts = (each.flatten(0, 1) for each in (q, k, v, chosen))
        out = few_images_at_a_time(self.attend_chosen, *parts).unflatten(0, (-1, heads))
        out = merge_windows(out.transpose(1, 2), self.height, self.width, *self.cell)

        local = self.lepe(qkv[..., -self.geometry.dim :].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        out = self.proj(out + local)
        return out[:, : self.geometry.height, : self.geometry.width].flatten(1, 2)

    def cut(self, x: Tensor) -> Tensor:
        """Cut a map of projections `[B, H, W, 3, heads, D]` into regions: `[3, B, heads, M, N/M, D]`.

        In one copy, in which the tokens of a head's region stand side by side.
        """
        rows, columns = self.cell
        x = x.unflatten(2, (-1, columns)).unflatten(1, (-1, rows))
        x = x.permute(5, 0, 6, 1, 3, 2, 4, 7)  # [3, B, heads, R, R, rows, columns, D]
        return x.contiguous().flatten(5, 6).flatten(3, 4)

    def choose(self, q: Tensor, k: Tensor) -> Tensor:
        """The regions `[B, M, K]` whose mean keys are most like each region's mean query."""
        q, k = (each.detach().mean(dim=-2).transpose(1, 2).flatten(2) for each in (q, k))  # each [B, M, C]
        return (q @ k.mT).topk(self.topk, sorted=False).indices

    def attend_chosen(self, q: Tensor, k: Tensor, v: Tensor, chosen: Tensor) -> Tensor:
        """Attention of regions `[n, M, N/M, D]` to the regions `[n, M, K]` that they chose."""
        n, m = chosen.shape[:2]
        rows = (m * torch.arange(n, device=q.device).view(-1, 1, 1) + chosen).flatten()
        # To copy rows of a matrix, here a region each, is the fastest way to gather.
        k, v = (x.flatten(0, 1).flatten(1).index_select(0, rows).view(n, m, -1, x.shape[-1]) for x in (k, v))
        # `attend` divides logits by √D: a √heads on top makes √C of it.
        return attend(q * self.geometry.heads**-0.5, k, v)


def _check(regions: int, topk: int, lepe: int) -> None:
    if regions < 1:
        raise InvalidSetting(f"bi-level-routing: regions is {regions}; it must be at least 1.")
    if not 1 <= topk <= regions**2:
        raise InvalidSetting(
            f"bi-level-routing: topk is {topk}; it must lie between 1 and the number of regions, "
            f"{regions}x{regions} = {regions**2}."
        )
    if lepe < 1 or lepe % 2 == 0:
        raise InvalidSetting(
            f"bi-level-routing: lepe is {lepe}; it must be odd and at least 1, to have a centre."
        )


def macs(geometry: Geometry, *, regions: int, topk: int, lepe: int) -> int:
    n, c = round_up(geometry.height, regions) * round_up(geometry.width, regions), geometry.dim
    m = regions**2
    return 4 * n * c**2 + m**2 * c + 2 * n * topk * (n // m) * c + lepe**2 * n * c


bi_level_routing = Mechanism(
    name="bi-level-routing",
    title="Bi-Level Routing",
    build=BiLevelRoutingAttention,
    macs=macs,
    settings={"regions": 7, "topk": 16, "lepe": 5},
    paper=Paper(
        title="BiFormer: Vision Transformer with Bi-Level Routing Attention",
        venue="CVPR",
        year=2023,
        url="https://arxiv.org/abs/2303.08810",
    ),
    family="sparse",
)
