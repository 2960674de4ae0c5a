"""Swin V2's window attention (Liu et al., 2022): cosine logits, and a position bias that a network makes.

Windows, their shift, the mask of -100 and the padding are those of `mechanisms.window`. In a window of w × w
tokens

    out = softmax(e^s q̂ k̂ᵀ + bias + mask) v,     q̂ = q / max(‖q‖, ε),  k̂ = k / max(‖k‖, ε),  ε = 1e-12

There is no 1/√D: each head learns its scale e^s, which is at most 100. Keys are projected without a bias,
which cosines do not need; queries and values have theirs. For a query δ rows, or columns, after its key

    bias = 16 σ(W₂ ReLU(W₁ [t(δ_row), t(δ_column)] + b₁)),     t(δ) = sign δ · log₂(1 + 8|δ| / (w − 1)) / 3

one number for each head, from a hidden layer of 512 units, so that a window of another size has a bias too.

MACs for N tokens of C channels in h heads: 4NC² for the projections, 2Nw²C for the attention, and
512(2 + h)(2w − 1)² for the bias, which is made anew in each call, whatever the batch. On a map that windows
do not divide, N is the padded number of tokens.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper
from attnbench.attention import attend
from mechanisms import window as plain_windows
from mechanisms._maps import merge_windows
from mechanisms._tables import relative_bias, relative_index, relative_positions

EPSILON = 1e-12
LARGEST_SCALE = 100.0
HIDDEN = 512


class PositionBias(nn.Module):
    """A bias for each head, query and key of a window, as a network of their distance makes it."""

    distances: Tensor
    index: Tensor

    def __init__(self, window: int, heads: int) -> None:
        super().__init__()
        self.cells = window**2
        self.hidden = nn.Linear(2, HIDDEN)
        self.out = nn.Linear(HIDDEN, heads, bias=False)
        self.register_buffer("distances", _log_distances(window), persistent=False)  # [(2w − 1)², 2]
        self.register_buffer("index", relative_index(window), persistent=False)

    def forward(self) -> Tensor:
        """The bias, `[heads, w², w²]`."""
        table = 16 * self.out(self.hidden(self.distances).relu()).sigmoid()
        return relative_bias(table, self.index, self.cells)


class CosineWindowAttention(plain_windows.WindowAttention):
    """Attention by cosine similarity inside windows, which may be shifted against the map."""

    def __init__(self, geometry: Geometry, window: int, shift: int) -> None:
        super().__init__(geometry, window, shift)
        c = geometry.dim
        self.qkv = nn.Linear(c, 3 * c, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(c))
        self.v_bias = nn.Parameter(torch.zeros(c))
        self.logit_scale = nn.Parameter(torch.full((geometry.heads, 1, 1), math.log(10)))  # s
        self.position_bias = PositionBias(window, geometry.heads)

    def plain(self, x: Tensor) -> Tensor:
        """Attention inside the windows of a map, from and to `[B, H, W, C]`."""
        w = self.window
        windows = x.unflatten(2, (-1, w)).unflatten(1, (-1, w)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        heads = attend(*self.project(windows), self.position_bias())  # [B, windows, heads, w², D]
        return merge_windows(heads, self.height, self.width, w, w)

    def shifted(self, x: Tensor) -> Tensor:
        """As `plain`, inside the windows of the rolled map.

        Windows and heads are one dimension here: the bias of both broadcasts over images without a copy.
        """
        windows = x.flatten(1, 2).index_select(1, self.order).unflatten(1, (-1, self.window**2))
        q, k, v = (each.flatten(1, 2) for each in self.project(windows))
        bias = (self.mask.unsqueeze(1) + self.position_bias()).flatten(0, 1)  # [windows · heads, w², w²]
        heads = attend(q, k, v, bias, masked=True).unflatten(1, (-1, self.geometry.heads))
        tokens = heads.transpose(2, 3).flatten(3).flatten(1, 2).index_select(1, self.back)
        return tokens.unflatten(1, (self.height, self.width))

    def project(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """e^s √D q̂, k̂ and v, each `[B, windows, heads, w², D]`, from windows `[B, windows, w², C]`.

        `attend` divides logits by √D.
        """
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(windows, self.qkv.weight, bias).unflatten(-1, (3, self.geometry.heads, -1))
        qkv = qkv.permute(3, 0, 1, 4, 2, 5)
        scale = self.logit_scale.clamp_max(math.log(LARGEST_SCALE)).exp() * qkv.shape[-1] ** 0.5
        q, k = (factor / length(each) * each for factor, each in ((scale, qkv[0]), (1, qkv[1])))
        return q, k, qkv[2]


def length(x: Tensor) -> Tensor:
    """Norms over the channels of a head, at least ε.

    In float16 at least 1/128, whose gradient needs its square: keys of padding are zeros.
    """
    least = max(EPSILON, torch.finfo(x.dtype).tiny ** 0.5)
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(least)


def _log_distances(window: int) -> Tensor:
    """t(δ) of all relative positions in a window, `[(2w − 1)², 2]`."""
    steps = relative_positions(window).double() * 8 / max(window - 1, 1)
    return (steps.sign() * (steps.abs() + 1).log2() / 3).to(torch.get_default_dtype())


def macs(geometry: Geometry, window: int, shift: int) -> int:
    bias = HIDDEN * (2 + geometry.heads) * (2 * window - 1) ** 2
    return plain_windows.macs(geometry, window, shift) + bias


swin_v2 = Mechanism(
    name="swin-v2",
    title="Swin V2",
    build=CosineWindowAttention,
    macs=macs,
    settings={"window": 7, "shift": 0},
    paper=Paper(
        title="Swin Transformer V2: Scaling Up Capacity and Resolution",
        venue="CVPR",
        year=2022,
        url="https://arxiv.org/abs/2111.09883",
    ),
    family="windows",
)
