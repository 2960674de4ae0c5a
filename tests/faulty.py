"""Layers that do not do what they should on a GPU, as a plugin: for tests of how that is told."""

import torch
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper

PAPER = Paper("None", "nowhere", 2026, "https://example.org")


class Strays(nn.Module):
    """A layer with a tensor that stays on the host."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.project = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(x) + torch.ones(x.shape[-1])


class Keeps(nn.Module):
    """A layer that computes its first batch, and returns a copy of that for all others."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.project = nn.Linear(geometry.dim, geometry.dim)
        self.kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.kept is None or self.kept.shape != x.shape:
            self.kept = self.project(x)
        return self.kept + 0


def _mechanism(name: str, build: type[nn.Module]) -> Mechanism:
    return Mechanism(name, name.title(), build, lambda geometry: geometry.tokens * geometry.dim**2, PAPER)


strays = _mechanism("strays", Strays)
keeps = _mechanism("keeps", Keeps)
