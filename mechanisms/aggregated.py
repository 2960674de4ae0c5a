"""Aggregated attention (Shi, 2024), the pixel-focused attention of TransNeXt.

A token sees its neighbours one by one and the map from afar, in one softmax: the w × w tokens around it, and
P tokens that a smaller map pools from the whole one, one for each r × r of them:

    y = LayerNorm(pool(GELU(W_r x))),     k' and v' from y by the weights of k and v
    q̂, k̂, k̂' of length 1 in each head,     s = (q̂ + e) · softplus(τ) · log n
    a, a' = softmax([s · k̂ + b ; s · k̂' + f(Δ)])      over w² neighbours and P pooled tokens
    out = Σ (a + q̂ · l + c) v + Σ a' v'

n is how many keys the token has, neighbours outside the map not counted; those have no weight. e, τ, the w²
numbers b and c and the w² vectors l are learned in each head. The second term of the neighbours' weights
stands outside the softmax. f is a perceptron of 512 hidden numbers, from where the token is, as seen from the
centre of the pooled token's cell: for each axis of length L, sign(Δ) log₂(|Δ| + 1) / 3 with Δ in units of
(L − 1)/8. It runs once for each distinct Δ, of which there are T.

The smaller map has max(1, ⌊L/r⌋) cells along a side, which overlap where r does not divide it, and any map
will do.

Neighbours are read by shifting the map. Sums over their channels, for logits, and over neighbours, of values,
are products with a vector of ones, in which a count sees their multiply-adds.

MACs for N tokens of C channels and h heads: 5NC² for the projections and W_r, 2PC² for k' and v', 5PC for the
norm, 3w²NC for the neighbours, 2NPC for the pooled tokens, 512T(2 + h) for f.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from mechanisms._images import few_images_at_a_time
from mechanisms._maps import as_channels_first, as_map, as_tokens

HIDDEN = 512


class AggregatedAttention(nn.Module):
    """Attention of every token to its neighbours and to a pooled map at once."""

    keys_seen: Tensor
    outside: Tensor
    offsets: Tensor
    offset_of_pair: Tensor

    def __init__(self, geometry: Geometry, *, window: int, ratio: int) -> None:
        super().__init__()
        geometry.require_shared_channels()
        _check(window, ratio)
        self.geometry = geometry
        self.window = window
        self.cells = _cells(geometry, ratio)
        c, d, heads, near = geometry.dim, geometry.head_dim, geometry.heads, window**2
        self.q = nn.Linear(c, c)
        self.kv = nn.Linear(c, 2 * c)
        self.reduce = nn.Linear(c, c)
        self.norm = nn.LayerNorm(c)
        self.position = nn.Sequential(nn.Linear(2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, heads))
        self.proj = nn.Linear(c, c)
        self.temperature = nn.Parameter(torch.full((heads, 1, 1), math.log(math.expm1(1 / 0.24))))  # τ
        self.query_embedding = _normal(heads, 1, d, std=0.02)  # e
        self.local_bias = _normal(heads, 1, near, std=4e-4)  # b
        self.learned = _normal(heads, d, near, std=0.02)  # l
        self.learned_bias = nn.Parameter(torch.zeros(heads, 1, near))  # c

        inside = _inside(geometry, window)
        seen = inside.sum(dim=1, keepdim=True) + self.cells[0] * self.cells[1]
        self.register_buffer("keys_seen", seen.to(torch.get_default_dtype()), persistent=False)  # [N, 1]
        outside = torch.zeros(inside.shape).masked_fill(~inside, -math.inf)
        self.register_buffer("outside", outside, persistent=False)  # [N, w²]
        offsets, offset_of_pair = _offsets(geometry, self.cells)
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("offset_of_pair", offset_of_pair, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        smaller = as_channels_first(F.gelu(self.reduce(x)), self.geometry)
        y = self.norm(as_tokens(F.adaptive_avg_pool2d(smaller, self.cells)))  # [B, P, C]
        look = partial(self.look, pooled_bias=self.pooled_bias())
        return self.proj(few_images_at_a_time(look, self.q(x), self.kv(x), self.kv(y)))

    def look(self, q: Tensor, kv: Tensor, pooled_kv: Tensor, pooled_bias: Tensor) -> Tensor:
        """out before `proj`, `[B, N, C]`, from queries `[B, N, C]`, keys and values `[B, N or P, 2C]`."""
        heads, near = self.geometry.heads, self.window**2
        unit = F.normalize(q.unflatten(-1, (heads, -1)).transpose(1, 2).contiguous(), dim=-1)
        s = (unit + self.query_embedding) * (F.softplus(self.temperature) * self.keys_seen.log())
        k, v = kv.unflatten(-1, (2, heads, -1)).unbind(2)  # each [B, N, heads, D]
        pooled_k, pooled_v = pooled_kv.unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4)

        # Not `attend`: weights of neighbours get a term outside of the softmax.
        local = self.with_neighbours(s, F.normalize(k, dim=-1)) + (self.local_bias + self.outside)
        pooled = (s @ F.normalize(pooled_k, dim=-1).mT).add_(pooled_bias)
        a, pooled_a = torch.cat([local, pooled], dim=-1).softmax(dim=-1).split((near, pooled.shape[-1]), -1)
        weights = a + (unit @ self.learned + self.learned_bias)
        out = pooled_a @ pooled_v + self.of_neighbours(weights, v)
        return out.transpose(1, 2).flatten(2)

    def shifted(self, x: Tensor) -> Tensor:
        """Tokens `[B, N, heads, D]` as a map in each of its w² shifts: `[w, w, B, heads, H, W, D]`.

        All shifts are views of one map with zeros around it.
        """
        reach = self.window // 2
        bordered = F.pad(as_map(x, self.geometry).permute(0, 3, 1, 2, 4), (0, 0, reach, reach, reach, reach))
        rows = bordered.unfold(2, self.geometry.height, 1)  # [B, heads, w, W + w − 1, D, H]
        return rows.unfold(3, self.geometry.width, 1).permute(2, 3, 0, 1, 5, 6, 4)

    def with_neighbours(self, s: Tensor, k: Tensor) -> Tensor:
        """Products of queries `[B, heads, N, D]` with keys `[B, N, heads, D]` around: `[B, heads, N, w²]`."""
        s = s.unflatten(2, (self.geometry.height, self.geometry.width))
        ones = s.new_ones(s.shape[-1])
        products = [(s * near) @ ones for row in self.shifted(k).unbind() for near in row.unbind()]
        return torch.stack(products, dim=-1).flatten(2, 3)

    def of_neighbours(self, weights: Tensor, v: Tensor) -> Tensor:
        """Sums by weights `[B, heads, N, w²]` of values `[B, N, heads, D]` around: `[B, heads, N, D]`."""
        size = (self.geometry.height, self.geometry.width)
        weights = weights.unflatten(-1, (self.window, self.window)).unflatten(2, size)
        weights = weights.permute(4, 5, 0, 1, 2, 3).unsqueeze(-1).contiguous()  # [w, w, B, heads, H, W, 1]
        products = (weights * self.shifted(v)).flatten(2).flatten(0, 1)  # [w², B · heads · N · D]
        sums = products.new_ones(len(products)) @ products
        return sums.view(*weights.shape[2:4], self.geometry.tokens, -1)

    def pooled_bias(self) -> Tensor:
        """f for each head, token and pooled token: `[heads, N, P]`."""
        table = self.position(self.offsets).mT  # [heads, T]
        return table.index_select(1, self.offset_of_pair).unflatten(1, (self.geometry.tokens, -1))


def _normal(*shape: int, std: float) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=std))


def _inside(geometry: Geometry, window: int) -> Tensor:
    """Whether each token's neighbours are on the map, row by row: `[N, w²]`."""
    rows, columns = (
        _on_side(length, torch.arange(length).unsqueeze(1) + torch.arange(window) - window // 2)
        for length in (geometry.height, geometry.width)
    )
    return (rows[:, None, :, None] & columns[None, :, None, :]).flatten(2).flatten(0, 1)


def _on_side(length: int, places: Tensor) -> Tensor:
    return (places >= 0) & (places < length)


def _cells(geometry: Geometry, ratio: int) -> tuple[int, int]:
    """Rows and columns of the smaller map."""
    return max(1, geometry.height // ratio), max(1, geometry.width // ratio)


def _offsets(geometry: Geometry, cells: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The distinct offsets of tokens from pooled tokens as f takes them, `[T, 2]`, and which each pair has.

    Of token n and pooled token p that is number n · P + p of the second tensor.
    """
    (down, rows), (right, columns) = map(_offsets_on_side, (geometry.height, geometry.width), cells)
    pairs = rows[:, None, :, None] * len(right) + columns[None, :, None, :]
    return torch.cartesian_prod(down, right), pairs.flatten()


def _offsets_on_side(length: int, cells: int) -> tuple[Tensor, Tensor]:
    """The distinct offsets on a side, and which of them each place has from each cell, `[length, cells]`."""
    distinct = _twice_offsets(length, cells)
    number = {twice: position for position, twice in enumerate(distinct)}
    which = [
        [number[2 * place - centre] for centre in _twice_centres(length, cells)] for place in range(length)
    ]
    units = [4 * twice / max(1, length - 1) for twice in distinct]
    scaled = [math.copysign(math.log2(abs(unit) + 1) / 3, unit) for unit in units]
    return torch.tensor(scaled), torch.tensor(which)


def _twice_offsets(length: int, cells: int) -> list[int]:
    centres = _twice_centres(length, cells)
    return sorted({2 * place - centre for place in range(length) for centre in centres})


def _twice_centres(length: int, cells: int) -> list[int]:
    """Twice the mean of the places that each cell of an adaptive pool holds, a whole number."""
    return [cell * length // cells - (-(cell + 1) * length // cells) - 1 for cell in range(cells)]


def _check(window: int, ratio: int) -> None:
    if window < 1 or window % 2 == 0:
        raise InvalidSetting(
            f"aggregated: window is {window}; it must be odd and at least 1, to have a centre."
        )
    if ratio < 1:
        raise InvalidSetting(f"aggregated: ratio is {ratio}; it must be at least 1.")


def macs(geometry: Geometry, *, window: int, ratio: int) -> int:
    n, c = geometry.tokens, geometry.dim
    cells = _cells(geometry, ratio)
    p = cells[0] * cells[1]
    t = len(_twice_offsets(geometry.height, cells[0])) * len(_twice_offsets(geometry.width, cells[1]))
    projections = 5 * n * c**2 + 2 * p * c**2 + 5 * p * c
    return projections + 3 * window**2 * n * c + 2 * n * p * c + HIDDEN * t * (2 + geometry.heads)


aggregated = Mechanism(
    name="aggregated",
    title="Aggregated",
    build=AggregatedAttention,
    macs=macs,
    settings={"window": 3, "ratio": 2},
    paper=Paper(
        title="TransNeXt: Robust Foveal Visual Perception for Vision Transformers",
        venue="CVPR",
        year=2024,
        url="https://arxiv.org/abs/2311.17132",
    ),
    family="windows",
)
