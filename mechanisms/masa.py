"""Manhattan self-attention (Fan et al., 2024), the attention of RMT.

Softmax attention in which a key counts less the further it is from the query, by the steps between them along
rows and columns. In head j of h a step weighs γ_j = 1 − 2^−(initial + spread · j/h), which does not train:

    out = proj(softmax(q kᵀ / √D + log γ_j · (|Δrow| + |Δcolumn|)) v + depthwise(v))

Decomposed, the softmax runs along rows and then along columns, with the same q and k:

    u = softmax(q kᵀ / √D + log γ_j · |Δcolumn|) v     among the tokens of a row
    out = proj(softmax(q kᵀ / √D + log γ_j · |Δrow|) u + depthwise(v))     among those of a column

which is another function, except on one row. The decay joins the logits, as in the authors' code; the paper's
text multiplies it to the weights after the softmax.

Before all this, q and k are rotated in each head: channels 2i and 2i + 1 of token t, as a point of the plane,
by the angle t · 10000^(−i/(D/2 − 1)). t is the token's number on the map, t = row · W + column, so that
neighbours in a column differ by W steps. The depthwise convolution is `lepe` × `lepe`.

Heads must have an even number of channels. Any map will do.

MACs for N = HW tokens of C channels: 4NC² for the projections, lepe² · NC for the convolution, 2N(H + W)C for
the attention, or 2N²C where it is not decomposed.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from attnbench.attention import attend
from mechanisms._images import few_images_at_a_time
from mechanisms._maps import as_channels_first, as_map, as_tokens


class ManhattanAttention(nn.Module):
    """Attention that decays with the distance on the map, along rows and columns or all at once."""

    cos: Tensor
    sin: Tensor
    decay: Tensor
    row_decay: Tensor
    column_decay: Tensor

    def __init__(
        self, geometry: Geometry, *, decomposed: bool, initial: float, spread: float, lepe: int
    ) -> None:
        super().__init__()
        _check(geometry, initial, spread, lepe)
        self.geometry = geometry
        self.decomposed = decomposed
        c = geometry.dim
        self.q = nn.Linear(c, c)
        self.k = nn.Linear(c, c)
        self.v = nn.Linear(c, c)
        self.lepe = nn.Conv2d(c, c, lepe, padding=lepe // 2, groups=c)
        self.proj = nn.Linear(c, c)

        cos, sin = _turns(geometry)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        per_step = _log_decay(geometry.heads, initial, spread)
        rows, columns = torch.arange(geometry.height), torch.arange(geometry.width)
        if decomposed:
            self.register_buffer("row_decay", per_step * _steps(columns), persistent=False)  # along a row
            self.register_buffer("column_decay", per_step * _steps(rows), persistent=False)
        else:
            row, column = rows.repeat_interleave(geometry.width), columns.repeat(geometry.height)
            self.register_buffer("decay", per_step * (_steps(row) + _steps(column)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return self.proj(few_images_at_a_time(self.mix, self.queries_and_keys(x), self.v(x)))

    def queries_and_keys(self, x: Tensor) -> Tensor:
        """Projections `[B, N, 2, heads, 2, D/2]`: both points of a rotation's plane are D/2 apart.

        Products of q and k do not see the order of their channels, and halves are faster to rotate than
        neighbours.
        """
        weight, bias = (
            torch.cat([self.in_halves(one), self.in_halves(other)])
            for one, other in zip(self.q.parameters(), self.k.parameters(), strict=True)
        )
        projected = F.linear(x, weight.flatten(0, 2), bias.flatten())
        return projected.unflatten(-1, (2, self.geometry.heads, 2, -1))

    def in_halves(self, parameter: Tensor) -> Tensor:
        """View a weight or bias `[C, …]` with a plane's two channels apart: `[heads, 2, D/2, …]`."""
        return parameter.unflatten(0, (self.geometry.heads, -1, 2)).transpose(1, 2)

    def mix(self, queries_and_keys: Tensor, v: Tensor) -> Tensor:
        """out before `proj`, `[B, N, C]`, from what is not yet rotated, and values `[B, N, C]`."""
        rows = as_map(v, self.geometry).unflatten(-1, (self.geometry.heads, -1)).transpose(2, 3)
        attention = self.along_rows_and_columns if self.decomposed else self.everywhere
        q, k = self.rotated_rows(queries_and_keys)
        heads = attention(q, k, rows)  # [B, H, W, heads, D]

        out = as_tokens(self.lepe(as_channels_first(v, self.geometry)))
        return out.view_as(heads).add_(heads).view_as(v)  # in place: the fresh output of a convolution

    def rotated_rows(self, x: Tensor) -> Tensor:
        """Turn points `[B, N, 2, heads, 2, D/2]` by the angles of their tokens: `[2, B, H, heads, W, D]`.

        What puts the halves side by side puts the tokens of a row there too.
        """
        a, b = x.unbind(-2)
        halves = torch.addcmul(a * self.cos, b, self.sin, value=-1), torch.addcmul(b * self.cos, a, self.sin)
        return torch.cat([as_map(half, self.geometry).permute(3, 0, 1, 4, 2, 5) for half in halves], dim=-1)

    def along_rows_and_columns(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention inside rows, then inside columns: `[B, H, heads, W, D]` to `[B, H, W, heads, D]`."""
        u = attend(q, k, v, self.row_decay)
        q, k, u = (x.transpose(1, 3) for x in (q, k, u))  # each [B, W, heads, H, D]
        return attend(q, k, u, self.column_decay).permute(0, 3, 1, 2, 4)

    def everywhere(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of all tokens to all: `[B, H, heads, W, D]` to `[B, H, W, heads, D]`."""
        q, k, v = (x.transpose(1, 2).flatten(2, 3) for x in (q, k, v))  # each [B, heads, N, D]
        return attend(q, k, v, self.decay).transpose(1, 2).unflatten(1, (self.geometry.height, -1))


def _turns(geometry: Geometry) -> tuple[Tensor, Tensor]:
    """cos and sin of every token's angles, one for each plane: `[N, 1, 1, D/2]`."""
    planes = geometry.head_dim // 2
    frequencies = 10_000.0 ** -(torch.arange(planes, dtype=torch.float64) / max(1, planes - 1))
    angles = torch.arange(geometry.tokens, dtype=torch.float64).view(-1, 1, 1, 1) * frequencies
    return angles.cos().to(torch.get_default_dtype()), angles.sin().to(torch.get_default_dtype())


def _log_decay(heads: int, initial: float, spread: float) -> Tensor:
    """log γ of each head: `[heads, 1, 1]`."""
    decay = [math.log1p(-(2 ** -(initial + spread * head / heads))) for head in range(heads)]
    return torch.tensor(decay).view(-1, 1, 1)


def _steps(places: Tensor) -> Tensor:
    """How far places on a line are from each other."""
    return (places.unsqueeze(1) - places).abs()


def _check(geometry: Geometry, initial: float, spread: float, lepe: int) -> None:
    if not 0 < initial < float("inf"):
        raise InvalidSetting(
            f"masa: initial is {initial}; it must be finite and above 0, for a decay above 0."
        )
    if not 0 <= spread < float("inf"):
        raise InvalidSetting(f"masa: spread is {spread}; it must be finite and at least 0.")
    if lepe < 1 or lepe % 2 == 0:
        raise InvalidSetting(f"masa: lepe is {lepe}; it must be odd and at least 1, to have a centre.")
    if geometry.head_dim % 2:
        raise UnsupportedGeometry(
            f"masa: heads of {geometry.head_dim} channels cannot be rotated in pairs; "
            "choose --dim or --heads so that they have an even number."
        )


def macs(geometry: Geometry, *, decomposed: bool, initial: float, spread: float, lepe: int) -> int:  # noqa: ARG001 - decays are free
    n, c = geometry.tokens, geometry.dim
    seen = geometry.height + geometry.width if decomposed else n
    return 4 * n * c**2 + lepe**2 * n * c + 2 * n * seen * c


masa = Mechanism(
    name="masa",
    title="MaSA",
    build=ManhattanAttention,
    macs=macs,
    settings={"decomposed": True, "initial": 2.0, "spread": 6.0, "lepe": 5},
    paper=Paper(
        title="RMT: Retentive Networks Meet Vision Transformers",
        venue="CVPR",
        year=2024,
        url="https://arxiv.org/abs/2309.11523",
    ),
    family="windows",
)
