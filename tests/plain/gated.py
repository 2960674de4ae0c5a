"""Gated: MSA, whose output is multiplied by the sigmoid of a further projection of the input."""

from dataclasses import replace

from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.gated import gated

from ._pieces import heads_of, joined, softmax_attention


class PlainGated(nn.Module):
    """out = proj(σ(gate) ⊙ softmax(q kᵀ / √D) v), with a gate for each channel or for each head."""

    def __init__(self, geometry: Geometry, gate: str) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.gates = geometry.dim if gate == "element" else geometry.heads
        self.qkv_gate = nn.Linear(geometry.dim, 3 * geometry.dim + self.gates)
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        projected = self.qkv_gate(tokens)
        q, k, v = heads_of(projected[..., : -self.gates], 3, self.heads)
        (gate,) = heads_of(projected[..., -self.gates :], 1, self.heads)  # [B, heads, N, D or 1]
        return self.proj(joined(softmax_attention(q, k, v) * gate.sigmoid()))


plain_gated = replace(gated, name="plain-gated", title="Gated, plain", build=PlainGated)
