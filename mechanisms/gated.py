"""Gated attention (Qiu et al., 2025): softmax attention whose output passes a gate before the projection.

    y = softmax(q kᵀ / √D) v
    out = proj(σ(g(x)) ⊙ y)

The gate g is linear in the layer's input. It has a number for every token and channel (`gate="element"`), or
one for every token and head, by which all channels of the head are multiplied (`gate="head"`). What a token
gathered can so be forgotten, where the weights of a softmax must give their sum of 1 to some key. Any map
will do.

Queries, keys, values and gates are one projection, [q | k | v | g].

MACs for N tokens of C channels in h heads: 5NC² + 2N²C with a gate for every channel, 4NC² + NCh + 2N²C with
one for every head.
"""

from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend


class GatedAttention(nn.Module):
    """Attention of all tokens to all tokens, of which each token lets through what its gate says."""

    def __init__(self, geometry: Geometry, gate: str) -> None:
        super().__init__()
        geometry.require_shared_channels()
        self.heads = geometry.heads
        self.split = (3 * geometry.dim, gates(geometry, gate))
        self.qkv_gate = nn.Linear(geometry.dim, sum(self.split))
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        qkv, gate = self.qkv_gate(x).split(self.split, dim=-1)
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, H, N, D]
        heads = attend(q, k, v).transpose(1, 2)  # [B, N, H, D]

        # The product has the memory of its first factor, so that joining the heads copies nothing more.
        opened = gate.sigmoid().unflatten(-1, (self.heads, -1)) * heads
        return self.proj(opened.flatten(2))


def gates(geometry: Geometry, gate: str) -> int:
    """How many numbers the gate of a token has."""
    numbers = {"element": geometry.dim, "head": geometry.heads}
    if gate not in numbers:
        raise InvalidSetting(
            f"gated: gate is {gate!r}; it must be 'element', a number a channel, or 'head', one a head."
        )
    return numbers[gate]


def macs(geometry: Geometry, gate: str) -> int:
    n, c = geometry.tokens, geometry.dim
    return 4 * n * c**2 + n * c * gates(geometry, gate) + 2 * n**2 * c


gated = Mechanism(
    name="gated",
    title="Gated",
    build=GatedAttention,
    macs=macs,
    settings={"gate": "element"},
    paper=Paper(
        title=("Gated Attention for Large Language Models: Non-linearity, Sparsity, and Attention-Sink-Free"),
        venue="NeurIPS",
        year=2025,
        url="https://arxiv.org/abs/2505.06708",
    ),
    family="softmax",
)
