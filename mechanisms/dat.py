"""Deformable attention (Xia et al., 2022).

Keys and values are not the tokens but samples of the map, one for each token, and the queries say where.
Channels (and heads) are split into g groups; in each a small network, shared by the groups, gives every
token an offset, and the group's channels of the input x are read bilinearly at the shifted places p:

    Δ = reach · tanh(W GELU(LayerNorm(depthwise(q)))) ⊙ (1/H, 1/W)
    p = p_ref + Δ,     x̃ = sample(x; p),     k = W_k x̃,     v = W_v x̃
    out = softmax(q kᵀ / √D + sample(table; ½(p_query − p))) v

Places are normalised to [-1, 1]; p_ref = p_query is the centre of a token's cell, 2(r + ½)/H − 1. The bias
table is a map of (2H−1) × (2W−1) relative positions for each head. Both samplers align corners and read
zero outside. That is the grid of the published measurements, which the authors changed later: as centres
are not corners, zero offsets do not read the map itself; a ramp 0 … 13 over 14 columns is read as 0.464,
1.393, …, 12.536.

MACs for N tokens of C channels, h heads and kernel κ: 4NC² for the projections; (κ² + 5 + 2)NC for the
offsets (depthwise, norm, W); 4NC and 4hN² for the two samplers; 2N²C for the attention.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from attnbench.attention import attend
from mechanisms._images import few_images_at_a_time
from mechanisms._maps import as_channels_first, as_tokens


class DeformableAttention(nn.Module):
    """Attention of all tokens to as many samples of the map, at places that the queries choose."""

    centres: Tensor
    size: Tensor

    def __init__(self, geometry: Geometry, *, groups: int, kernel: int, reach: float) -> None:
        super().__init__()
        geometry.require_shared_channels()
        _check(geometry, groups, kernel, reach)
        self.geometry = geometry
        self.groups = groups
        self.reach = reach
        dim, channels = geometry.dim, geometry.dim // groups

        self.q = nn.Linear(dim, dim)
        self.offset_depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.offset_norm = nn.LayerNorm(channels)
        self.offset_point = nn.Linear(channels, 2, bias=False)  # a row's offset, then a column's
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        relative = (2 * geometry.height - 1, 2 * geometry.width - 1)
        self.table = nn.Parameter(nn.init.trunc_normal_(torch.empty(geometry.heads, *relative), std=0.01))
        self.proj = nn.Linear(dim, dim)

        # In (x, y), as grid_sample takes places; whole numbers, so that a layer moved to float64 is exact.
        self.register_buffer("centres", _cell_centres(geometry), persistent=False)
        size = torch.tensor([float(geometry.width), float(geometry.height)])
        self.register_buffer("size", size, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q = self.q(x)
        places = self.places(q)  # [B·g, N, 2]
        sampled = self.sample(x, places)
        places = places.unflatten(0, (-1, self.groups))
        return self.proj(few_images_at_a_time(self.attend_to, q, self.k(sampled), self.v(sampled), places))

    def attend_to(self, q: Tensor, k: Tensor, v: Tensor, places: Tensor) -> Tensor:
        """Attention of queries to keys and values, each `[B, N, C]`, that stand at places `[B, g, N, 2]`."""
        q, k, v = (x.unflatten(-1, (self.geometry.heads, -1)).transpose(1, 2) for x in (q, k, v))
        heads = attend(q, k, v, self.bias(places.flatten(0, 1)))  # [B, H, N, D]
        return heads.transpose(1, 2).flatten(2)

    def places(self, q: Tensor) -> Tensor:
        """Where the groups of each image are sampled, (x, y) in `[B·g, N, 2]`, from queries `[B, N, C]`."""
        # The groups share their weights: repeating those spares a copy of the queries, group by group.
        weight, bias = (torch.cat([p] * self.groups) for p in self.offset_depthwise.parameters())
        padding = self.offset_depthwise.padding
        local = F.conv2d(
            as_channels_first(q, self.geometry), weight, bias, padding=padding, groups=len(weight)
        )
        local = as_tokens(local).unflatten(-1, (self.groups, -1))  # [B, N, g, C/g]

        offsets = self.offset_point(F.gelu(self.offset_norm(local))).tanh()  # [B, N, g, 2]
        y, x = offsets.transpose(1, 2).flatten(0, 1).unbind(-1)
        return (self.centres + self.reach * torch.stack([x, y], dim=-1)) / self.size

    def sample(self, x: Tensor, places: Tensor) -> Tensor:
        """Read tokens `[B, N, C]` at the places of their groups: tokens `[B, N, C]`."""
        # Planes, not a channels-last view: in 16 bits the sampler's CPU kernel also counts its offsets in 16
        # bits, and those of a strided map overflow (torch 2.13).
        channels_first = x.mT.contiguous()
        height, width = self.geometry.height, self.geometry.width
        planes = channels_first.view(len(places), -1, height, width)  # [B·g, C/g, H, W]
        sampled = F.grid_sample(planes, places.unsqueeze(1), align_corners=True)  # [B·g, C/g, 1, N]
        return sampled.view_as(channels_first).mT.contiguous()

    def bias(self, places: Tensor) -> Tensor:
        """Read the table between every query's place and every sample's: `[B, heads, N, N]`."""
        # x and y side by side in one long row for each query: pairs alone are too short to subtract fast.
        queries = (self.centres / self.size / 2).repeat(1, places.shape[1])  # [N, 2N]
        displacement = queries - (places / 2).flatten(1).unsqueeze(1)  # [B·g, N, 2N]
        displacement = displacement.unflatten(-1, (-1, 2))
        table = self.table.unflatten(0, (self.groups, -1)).repeat(len(places) // self.groups, 1, 1, 1)
        bias = F.grid_sample(table, displacement, align_corners=True)  # [B·g, heads/g, N, N]
        return bias.unflatten(0, (-1, self.groups)).flatten(1, 2)


def _cell_centres(geometry: Geometry) -> Tensor:
    """The centre (x, y) of every token's cell on a map that spans [-W, W] and [-H, H], `[N, 2]`."""
    size = (geometry.height, geometry.width)
    y, x = torch.meshgrid(*(torch.arange(1.0 - n, n, 2) for n in size), indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1)


def _check(geometry: Geometry, groups: int, kernel: int, reach: float) -> None:
    if groups < 1:
        raise InvalidSetting(f"dat: groups is {groups}; it must be at least 1.")
    if kernel < 1 or kernel % 2 == 0:
        raise InvalidSetting(f"dat: kernel is {kernel}; it must be odd and at least 1, to have a centre.")
    if not 0 <= reach < float("inf"):
        raise InvalidSetting(f"dat: reach is {reach}; it must be finite and at least 0 (2 is one token).")
    if geometry.heads % groups:
        raise UnsupportedGeometry(
            f"dat: {groups} groups do not divide {geometry.heads} heads; "
            "choose groups or --heads so that they do."
        )


def macs(geometry: Geometry, *, groups: int, kernel: int, reach: float) -> int:  # noqa: ARG001 - how far offsets reach is free
    n, c = geometry.tokens, geometry.dim
    offsets = (kernel**2 + 5 + 2) * n * c
    samplers = 4 * n * c + 4 * geometry.heads * n**2
    return 4 * n * c**2 + offsets + samplers + 2 * n**2 * c


dat = Mechanism(
    name="dat",
    title="DAT",
    build=DeformableAttention,
    macs=macs,
    settings={"groups": 3, "kernel": 5, "reach": 2.0},
    paper=Paper(
        title="Vision Transformer with Deformable Attention",
        venue="CVPR",
        year=2022,
        url="https://arxiv.org/abs/2201.00520",
    ),
    family="sparse",
)
