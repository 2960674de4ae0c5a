"""Rotary position embedding on maps (Heo et al., 2024): the axial RoPE of today's vision transformers.

Softmax attention whose queries and keys are turned by their place. The D channels of a head are pairs of
neighbours, each a vector in a plane; pair j of the token in row r and column c is turned by

    a_j = r · β^(−4j/D)  for the first D/4 pairs,     a_{D/4 + j} = c · β^(−4j/D)  for the others
    (x, y) ← (x cos a − y sin a, y cos a + x sin a)
    out = softmax(q' k'ᵀ / √D) v,  where q', k' are turned and v is not

Turning both by the same angle leaves their product as it is, so that a logit knows where the key stands as
seen from the query, and not where both stand. The base β is 100; the 10,000 of language models are for longer
sequences. With `qk_norm` the queries and keys of a head are normalised (LayerNorm) before they are turned.
Any map will do; 4 must divide the channels of a head.

MACs for N tokens of C channels: 4NC² for the projections, 2N²C for the attention, 10NC for the norms. Turning
is no product of matrices, and not counted.
"""

import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper, UnsupportedGeometry
from attnbench.attention import attend
from mechanisms._pairs import axial_angles


class RotaryAttention(nn.Module):
    """Attention of all tokens to all tokens, whose logits know how far apart two tokens are."""

    cos: Tensor
    sin: Tensor

    def __init__(self, geometry: Geometry, *, base: float, qk_norm: bool) -> None:
        super().__init__()
        _check(geometry, base)
        self.heads = geometry.heads
        self.qk_norm = qk_norm
        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        if qk_norm:
            self.q_norm = nn.LayerNorm(geometry.head_dim, eps=1e-6)
            self.k_norm = nn.LayerNorm(geometry.head_dim, eps=1e-6)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        quarter = geometry.head_dim // 4
        angles = axial_angles(geometry, base ** -(torch.arange(quarter, dtype=torch.float64) / quarter))
        self.register_buffer("cos", angles.cos().to(torch.get_default_dtype()), persistent=False)
        self.register_buffer("sin", angles.sin().to(torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        parts = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [3, B, H, N, D]
        qk, v = parts[:2], parts[2]
        if self.qk_norm:
            qk = torch.stack([self.q_norm(qk[0]), self.k_norm(qk[1])])
        q, k = self.turned(qk)
        heads = attend(q, k, v)  # [B, H, N, D]
        return self.proj(heads.transpose(1, 2).flatten(2))

    def turned(self, x: Tensor) -> Tensor:
        """Turn the pairs of queries and keys `[2, B, H, N, D]` by the places of their tokens.

        Then the first channels of all pairs stand before the second ones, which no product of queries and
        keys minds, and both lie in memory as `attend` wants them.
        """
        first, second = x.unflatten(-1, (-1, 2)).unbind(-1)  # each [2, B, H, N, D/2]
        turned = (
            torch.addcmul(first * self.cos, second, self.sin, value=-1),
            torch.addcmul(second * self.cos, first, self.sin),
        )
        return torch.cat(turned, dim=-1)


def _check(geometry: Geometry, base: float) -> None:
    if not 0 < base < float("inf"):
        raise InvalidSetting(f"rope: base is {base}; it must be finite and above 0.")
    if geometry.head_dim % 4:
        raise UnsupportedGeometry(
            f"rope: a head's {geometry.head_dim} channels are not pairs for rows and as many for columns; "
            "choose --heads so that 4 divides the channels of a head."
        )


def macs(geometry: Geometry, *, base: float, qk_norm: bool) -> int:  # noqa: ARG001 - any angle costs the same
    n, c = geometry.tokens, geometry.dim
    return 4 * n * c**2 + 2 * n**2 * c + (10 * n * c if qk_norm else 0)


rope = Mechanism(
    name="rope",
    title="RoPE",
    build=RotaryAttention,
    macs=macs,
    settings={"base": 100.0, "qk_norm": False},
    paper=Paper(
        title="Rotary Position Embedding for Vision Transformer",
        venue="ECCV",
        year=2024,
        url="https://arxiv.org/abs/2403.13298",
    ),
    family="softmax",
)
