"""mLSTM (Alkin et al., 2025), the layer of Vision-LSTM: a memory of products that gates write and let fade.

Tokens come one by one, row by row. In E channels (`expand` times C) and heads of D of them, with c the tokens
after a depthwise convolution and SiLU:

    [m ; z] = up(x),     c = SiLU(conv(m)),     q = Q c,     k = K c,     v = V m
    i_t, f_t = gates([q ; k ; v]_t), two numbers a head
    F_t = Σ_(s ≤ t) log σ(f_s),     L_ts = F_t - F_s + i_s for s ≤ t,     μ_t = max_s L_ts
    W_ts = q_t · k_s / √D · exp(L_ts - μ_t),     0 for s > t
    y_t = Σ_s W_ts v_s / (max(|Σ_s W_ts|, exp(-μ_t)) + ε),     ε = 1e-6
    out = down((GroupNorm(y) + skip ⊙ c) ⊙ SiLU(z))

Q, K and V are block-diagonal, in blocks of 4 × 4, and the norm is over a head. This is the memory
S_t = σ(f_t) S_(t-1) + exp(i_t) v_t k_tᵀ, read by q_t, with all its steps done at once. A token sees none that
come later, but for the convolution, so that one layer alone cannot do what one that mixes the whole map can:
Vision-LSTM alternates layers of either direction, of which `backward` makes the other. Any map will do. The
number of heads is a setting, the same at every width; the geometry's heads play no part.

Numbers a token are enough until the one exponential: with g_s = i_s - F_s and G_t the largest of g_1 … g_t,
μ_t is F_t + G_t, and L_ts - μ_t is g_s - G_t. They are in float32 at least.

MACs for N tokens of C channels, E = 2C, h heads, a convolution of p × p: 3NCE for up and down, 12NE for Q, K
and V, p²NE for the convolution, 6hNE for the gates, 2N²E for the products with keys and values, later ones
included, 5NE for the norm.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from attnbench.attention import scores
from mechanisms._images import few_images_at_a_time

BLOCK = 4  # channels that Q, K and V mix
EPSILON = 1e-6
FADING = (3.0, 6.0)  # the bias of the forget gate, of the first head to that of the last


class BlockDiagonal(nn.Module):
    """A linear map of neighbouring channels, in blocks that do not see each other."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim // BLOCK, BLOCK, BLOCK))  # [blocks, out, in]
        self.bias = nn.Parameter(torch.zeros(dim))
        nn.init.uniform_(self.weight, -(BLOCK**-0.5), BLOCK**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, E, N]` to `[B, E, N]`, where the rows of a product are as long as the map."""
        blocks = self.weight @ x.unflatten(1, (-1, BLOCK))  # [B, blocks, BLOCK, N]
        return blocks.flatten(1, 2).add_(self.bias.unsqueeze(-1))


class MatrixLSTM(nn.Module):
    """Gated linear attention to the tokens before, with a convolution ahead and a gate behind."""

    def __init__(self, geometry: Geometry, *, heads: int, expand: int, kernel: int, backward: bool) -> None:
        super().__init__()
        require_valid(heads, expand, kernel)
        c, e = geometry.dim, expand * geometry.dim
        if e % BLOCK or e % heads:
            raise UnsupportedGeometry(
                f"mlstm: {c} channels, {expand} times as many inside, do not fall into {heads} heads and "
                f"blocks of {BLOCK}; choose a --dim that makes both whole."
            )
        self.geometry = geometry
        self.heads = heads
        self.backward_order = backward
        self.up = nn.Linear(c, 2 * e)
        self.conv = nn.Conv2d(e, e, kernel, padding=kernel // 2, groups=e)
        self.q, self.k, self.v = (BlockDiagonal(e) for _ in range(3))
        self.gates = nn.Linear(3 * e, 2 * heads)
        self.norm = nn.GroupNorm(heads, e)
        self.skip = nn.Parameter(torch.ones(e))
        self.down = nn.Linear(e, c)
        nn.init.zeros_(self.gates.weight)
        nn.init.normal_(self.gates.bias[:heads], std=0.1)
        self.gates.bias.data[heads:] = torch.linspace(*FADING, heads)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        if self.backward_order:
            return self.in_order(x.flip(1)).flip(1)
        return self.in_order(x)

    def in_order(self, x: Tensor) -> Tensor:
        """The same from the first token to the last."""
        m, z = self.up(x).chunk(2, dim=-1)
        return self.down(few_images_at_a_time(self.remember, m).mul_(F.silu(z)))

    def remember(self, m: Tensor) -> Tensor:
        """GroupNorm(y) + skip ⊙ c, `[B, N, E]`, of tokens m `[B, N, E]`."""
        m = m.mT.contiguous()  # [B, E, N], like c, q, k and v
        c = F.silu(self.conv(m.unflatten(2, (self.geometry.height, self.geometry.width)))).flatten(2)
        q, k, v = self.q(c), self.k(c), self.v(m)
        decay, least = self.fade(q, k, v)
        q, k, v = (y.unflatten(1, (self.heads, -1)).mT for y in (q, k, v))  # each [B, H, N, D]

        weights = scores(q, k).tril() * decay  # [B, H, N, N]
        total = torch.maximum(weights.sum(dim=-1, keepdim=True).abs(), least) + EPSILON
        y = (weights / total @ v).transpose(1, 2).flatten(2)
        y = self.norm(y.flatten(0, 1)).view_as(y)  # token by token
        return torch.addcmul(y, self.skip, c.mT)

    def fade(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """exp(L - μ), `[B, H, N, N]`, good for tokens that do not come later, and exp(-μ), `[B, H, N, 1]`."""
        gates = self.gates.bias.unsqueeze(-1)  # [B, 2H, N], without a joint copy of q, k and v
        for weight, y in zip(self.gates.weight.chunk(3, dim=1), (q, k, v), strict=True):
            gates = gates + weight @ y
        write, keep = gates.to(torch.promote_types(gates.dtype, torch.float32)).chunk(2, dim=1)
        faded = F.logsigmoid(keep).cumsum(dim=-1)  # F
        g = write - faded
        largest = g.cummax(dim=-1).values
        least = (-faded - largest).exp().unsqueeze(-1)
        # Later tokens alone exceed the largest before them, and could exceed all numbers.
        decay = (g.unsqueeze(-2) - largest.unsqueeze(-1)).clamp(max=0).exp()
        return decay.to(gates.dtype), least.to(gates.dtype)


def require_valid(heads: int, expand: int, kernel: int) -> None:
    for name, value in (("heads", heads), ("expand", expand)):
        if value < 1:
            raise InvalidSetting(f"mlstm: {name} is {value}; it must be at least 1.")
    if kernel < 1 or kernel % 2 == 0:
        raise InvalidSetting(f"mlstm: kernel is {kernel}; it must be an odd number, so that it has a centre.")


def macs(geometry: Geometry, heads: int, expand: int, kernel: int, backward: bool) -> int:  # noqa: ARG001 - either way
    n, c = geometry.tokens, geometry.dim
    e = expand * c
    return n * e * (3 * c + 3 * BLOCK + kernel**2 + 6 * heads + 2 * n + 5)


mlstm = Mechanism(
    name="mlstm",
    title="mLSTM",
    build=MatrixLSTM,
    macs=macs,
    settings={"heads": 4, "expand": 2, "kernel": 3, "backward": False},
    paper=Paper(
        title="Vision-LSTM: xLSTM as Generic Vision Backbone",
        venue="ICLR",
        year=2025,
        url="https://arxiv.org/abs/2406.04303",
    ),
    family="state space",
)
