"""Two-dimensional selective scan (Liu et al., 2024): SS2D, the mixing layer of VMamba.

A recurrence runs over the map in four directions k: row by row, column by column, and both backwards. What a
channel keeps of its state from token to token, and what it adds, depends on the token:

    u = SiLU(depthwise(W_in x))
    [r ; b ; c] = W_k u,     Δ = softplus(W'_k r + β_k)     for every token
    h_t = exp(−e^(λ_k) Δ_t) ⊙ h_{t−1} + Δ_t b_t u_t         in the order of k, for E channels of S states
    y = Σ_k (c_t · h_t + d_k ⊙ u_t)
    out = W_out LayerNorm(y)

with E = expand · C channels and R = ⌈C/16⌉ ranks r. This is the authors' later form: one state a channel and
no gate. Steps Δ start between 0.001 and 0.1, evenly by their logarithms, and rates e^λ at 1 … S. The
recurrence runs in float32 at least: bfloat16 has no number between 0.996 and 1 to decay by.

Decays differ from channel to channel, so that no product of matrices does it: it is a scan in plain PyTorch,
exact and without a kernel of its own (`_scan`). A token's projections do not depend on the direction, and
each way over the map is walked there and back, so that only columns are put in another order.

The number of heads does not matter, and any map will do. A map with a side of 1 has a long scan if the other
side is prime.

MACs for N tokens of C channels: 2NCE for the projections in and out, 9NE for the depthwise convolution,
4NE(R + 2S) for r, b and c, 4NER for Δ, 5NE for the norm. The scan itself is element-wise, and so not counted:
about 2 · 4NES multiply-adds.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from mechanisms._maps import as_channels_first, as_tokens
from mechanisms._scan import scan

DIRECTIONS = 4  # row by row, column by column; then the same backwards
FIRST_STEPS = (1e-3, 1e-1)
CHANNELS_BY_RANK = 16


class SelectiveScan(nn.Module):
    """A recurrence over rows and columns, forwards and backwards, whose steps depend on the tokens."""

    def __init__(self, geometry: Geometry, *, expand: float, state: int) -> None:
        super().__init__()
        if state < 1:
            raise InvalidSetting(f"ss2d: state is {state}; it must be at least 1.")
        self.geometry = geometry
        c, e, r = geometry.dim, inner_channels(geometry, expand), rank(geometry)
        self.parts = (r, state, state)
        self.proj_in = nn.Linear(c, e, bias=False)
        self.depthwise = nn.Conv2d(e, e, kernel_size=3, padding=1, groups=e, bias=False)
        self.choose = nn.Parameter(uniform(DIRECTIONS, r + 2 * state, e, limit=e**-0.5))  # W_k
        self.step = nn.Parameter(uniform(DIRECTIONS, e, r, limit=r**-0.5))  # W'_k
        self.step_bias = nn.Parameter(inverse_softplus(first_steps(DIRECTIONS, e)))  # β
        rates = torch.arange(1.0, state + 1).expand(DIRECTIONS, e, state)
        self.log_rates = nn.Parameter(rates.log())  # λ
        self.skip = nn.Parameter(torch.ones(DIRECTIONS, e))  # d
        self.norm = nn.LayerNorm(e)
        self.proj_out = nn.Linear(e, c, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        u = F.silu(as_tokens(self.depthwise(as_channels_first(self.proj_in(x), self.geometry))))
        return self.proj_out(self.norm(self.scan_all_ways(u)))

    def scan_all_ways(self, u: Tensor) -> Tensor:
        """y, `[B, N, E]`, of u, `[B, N, E]`."""
        height, width = self.geometry.height, self.geometry.width
        ways = torch.stack([u, transposed(u, height, width)])  # [2, B, N, E]
        rows, columns = self.scan_both_ways(ways, 0) + self.scan_both_ways(ways, 1)
        y = rows + transposed(columns, width, height)
        return torch.addcmul(y, u, self.skip.sum(dim=0)).to(u.dtype)

    def scan_both_ways(self, ways: Tensor, sense: int) -> Tensor:
        """c · h for tokens by rows and by columns, forwards in sense 0 and backwards in 1: `[2, B, N, E]`."""
        directions = slice(2 * sense, 2 * sense + 2)
        chosen = torch.bmm(ways.flatten(1, 2), self.choose[directions].mT)  # [2, B · N, R + 2S]
        r, add, read = chosen.split(self.parts, dim=-1)
        raw = torch.baddbmm(self.step_bias[directions].unsqueeze(1), r, self.step[directions].mT)
        wide = torch.float32 if raw.dtype.itemsize < 4 else raw.dtype
        delta = F.softplus(raw.to(wide)).view(ways.shape).unsqueeze(-2)  # [2, B, N, 1, E]
        add, read = (x.to(wide).unflatten(1, ways.shape[1:3]).unsqueeze(-1) for x in (add, read))

        rates = self.log_rates[directions].to(wide).exp().mT[:, None, None]  # [2, 1, 1, S, E]
        added = (ways.unsqueeze(-2) * add).mul_(delta)  # [2, B, N, S, E]
        y = scan(delta, rates, added, backwards=sense == 1).mul_(read)
        return y.sum(dim=-2) if y.shape[-2] > 1 else y.squeeze(-2)  # a sum of one would be a copy


def transposed(tokens: Tensor, height: int, width: int) -> Tensor:
    """The tokens `[B, N, E]` of a map, row by row, in the order column by column."""
    return tokens.unflatten(1, (height, width)).transpose(1, 2).flatten(1, 2)


def uniform(*shape: int, limit: float) -> Tensor:
    return nn.init.uniform_(torch.empty(shape), -limit, limit)


def first_steps(*shape: int) -> Tensor:
    """Steps whose logarithms are uniform."""
    low, high = map(math.log, FIRST_STEPS)
    return nn.init.uniform_(torch.empty(shape), low, high).exp()


def inverse_softplus(x: Tensor) -> Tensor:
    return x + (-torch.expm1(-x)).log()


def inner_channels(geometry: Geometry, expand: float) -> int:
    """E."""
    if not 0 < expand < math.inf:
        raise InvalidSetting(f"ss2d: expand is {expand}; it must be finite and above 0.")
    channels = int(expand * geometry.dim)
    if not channels:
        raise UnsupportedGeometry(
            f"ss2d: {expand:.3g} times {geometry.dim} channels is less than one; "
            "choose a larger --dim or expand."
        )
    return channels


def rank(geometry: Geometry) -> int:
    """R."""
    return -(-geometry.dim // CHANNELS_BY_RANK)


def macs(geometry: Geometry, expand: float, state: int) -> int:
    n, c, e, r = geometry.tokens, geometry.dim, inner_channels(geometry, expand), rank(geometry)
    selection = DIRECTIONS * n * e * (r + 2 * state) + DIRECTIONS * n * e * r
    return 2 * n * c * e + 9 * n * e + selection + 5 * n * e


ss2d = Mechanism(
    name="ss2d",
    title="SS2D",
    build=SelectiveScan,
    macs=macs,
    settings={"expand": 1.0, "state": 1},
    paper=Paper(
        title="VMamba: Visual State Space Model",
        venue="NeurIPS",
        year=2024,
        url="https://arxiv.org/abs/2401.10166",
    ),
    family="state space",
)
