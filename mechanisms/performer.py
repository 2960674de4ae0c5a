"""Performer: softmax attention by positive random features, FAVOR+ (Choromanski et al., 2021).

The kernel exp(q · k / √D) is the expectation of φ(q) · φ(k) for features φ along random directions, so keys
and values can be summed once for all queries. With x̃ = x / D^¼ and Ω the m × D matrix of the directions,

    φ(x) = m^-½ [exp(Ωx̃ − ‖x̃‖²/2 − s) + ε],     ε = 1e-4
    out_n = φ(q_n) · Σ_j φ(k_j) v_jᵀ  /  φ(q_n) · Σ_j φ(k_j)

The stabiliser s keeps exp in range: for a query the largest entry of its Ωq̃, for the keys of an image's
head the largest entry of Ωk̃ over tokens and features. Blocks of D rows of Ω are orthogonal (Haar), and
each row has the norm of a Gaussian vector. Ω is drawn once, from torch's generator, shared by the heads,
and does not train. Any map will do.

`forward` computes this quotient with fewer passes over the N × m features. m^-½ cancels. A query's
exp(Ωq̃ − s) is 1 where it is largest, so that with p = softmax(Ωq̃), which takes a single pass,

    m^½ φ(q) = exp(−‖q̃‖²/2) p / max p + ε.

ε, the same for every feature, joins after the sums: over tokens for keys, over features for queries.

MACs for N tokens of C channels, h heads, m features: 4NC² for the projections, 4NmC for Ωq̃, Ωk̃, the sums
over keys and the product with them, Nmh for the denominator, ½NC for dividing by it: a multiplication
without an addition is half a multiply-add.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from mechanisms._images import few_images_at_a_time

EPSILON = 1e-4


class PerformerAttention(nn.Module):
    """Softmax attention approximated with random features, linear in the number of tokens."""

    projection: Tensor  # Ω

    def __init__(self, geometry: Geometry, *, features: int) -> None:
        super().__init__()
        if features < 1:
            raise InvalidSetting(f"performer: features is {features}; it must be at least 1.")
        self.heads = geometry.heads
        self.scale = geometry.head_dim**-0.25
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        self.register_buffer("projection", orthogonal_directions(features, geometry.head_dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return self.proj(few_images_at_a_time(self.attend_linearly, self.qkv(x)))

    def attend_linearly(self, qkv: Tensor) -> Tensor:
        """out before `proj`, `[B, N, C]`, from projections `[B, N, 3C]`."""
        # Each [B, H, N, D]. One copy, since the products below would copy q, k and v one by one.
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).contiguous()
        directions = self.projection.mT * self.scale  # Ωx̃ = x @ directions
        sums = self.sum_keys(k, v, directions)

        p = (q @ directions).softmax(dim=-1)  # [B, H, N, m]
        weight = self.half_square(q).neg().exp() / p.amax(dim=-1, keepdim=True)  # φ(q) = weight p + ε
        out = torch.addcmul(EPSILON * sums.sum(dim=-2, keepdim=True), weight, p @ sums)  # φ(q) @ sums
        numerator, denominator = out[..., :-1], out[..., -1]
        return torch.einsum("bhnd,bhn->bnhd", numerator, 1 / denominator).flatten(2)

    def sum_keys(self, k: Tensor, v: Tensor, directions: Tensor) -> Tensor:
        """Σ_j φ(k_j) v_jᵀ and, as a last column, Σ_j φ(k_j), both without their m^-½: `[B, H, m, D + 1]`."""
        projected = k @ directions  # [B, H, N, m]
        stabiliser = projected.amax(dim=(-2, -1), keepdim=True)  # [B, H, 1, 1]
        e = (projected - (self.half_square(k) + stabiliser)).exp_()  # φ(k) = e + ε
        sums = torch.cat([e.mT @ v, e.sum(dim=-2).unsqueeze(-1)], dim=-1)
        return sums.add_(EPSILON * F.pad(v.sum(dim=-2, keepdim=True), (0, 1), value=float(v.shape[-2])))

    def half_square(self, x: Tensor) -> Tensor:
        """‖x̃‖²/2: `[B, H, N, D]` to `[B, H, N, 1]`."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True) * self.scale
        return norm.square() / 2


def orthogonal_directions(features: int, d: int) -> Tensor:
    """Draw Ω, `[features, d]`: orthogonal blocks of d rows, the last one cut, with Gaussian norms."""
    blocks = -(-features // d)
    q, r = torch.linalg.qr(torch.randn(blocks, d, d))
    # QR leaves the signs of R's diagonal to the algorithm; with a positive diagonal q is unique, and Haar.
    q = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
    norms = torch.linalg.vector_norm(torch.randn(features, d), dim=-1, keepdim=True)
    return q.flatten(0, 1)[:features] * norms


def macs(geometry: Geometry, features: int) -> int:
    n, c = geometry.tokens, geometry.dim
    return round(4 * n * c**2 + 4 * n * features * c + n * features * geometry.heads + n * c / 2)


performer = Mechanism(
    name="performer",
    title="Performer",
    build=PerformerAttention,
    macs=macs,
    settings={"features": 256},
    paper=Paper(
        title="Rethinking Attention with Performers",
        venue="ICLR",
        year=2021,
        url="https://arxiv.org/abs/2009.14794",
    ),
    family="linear",
)
