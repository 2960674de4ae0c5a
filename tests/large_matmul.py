"""A plugin with nothing but a large matmul, which must reach this machine's limit.

    attnbench run large-matmul --plugin tests/large_matmul.py --dim 4096 --heads 1 --batch 4

Its `of limit` lies between 0.85 and 1.05.
"""

from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper


class LargeMatmul(nn.Module):
    """x W, in the shapes of a projection."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.map = nn.Linear(geometry.dim, geometry.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return self.map(x)


def macs(geometry: Geometry) -> int:
    """N C²."""
    return geometry.tokens * geometry.dim**2


large_matmul = Mechanism(
    name="large-matmul",
    title="Large matmul",
    build=LargeMatmul,
    macs=macs,
    paper=Paper("None", "Nowhere", 2026, "https://example.org"),
)
