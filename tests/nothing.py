"""A plugin with a layer that does nothing, whose time is what the harness itself takes.

attnbench run identity --plugin tests/nothing.py --batch 16
"""

from torch import nn

from attnbench import Geometry, Mechanism, Paper


def macs(_: Geometry) -> int:
    """None."""
    return 0


identity = Mechanism(
    name="identity",
    title="Identity",
    build=lambda _: nn.Identity(),
    macs=macs,
    paper=Paper("None", "Nowhere", 2026, "https://example.org"),
)
