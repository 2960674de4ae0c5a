"""Positions as rotations of pairs of channels (Su et al., 2021): scores then depend on distances alone."""

import torch
from torch import Tensor, nn

from attnbench import Geometry


class Rotation(nn.Module):
    """Turns each pair of neighbouring channels of a token in its plane, by an angle for token and pair.

    `angles` are `[N, D/2]`.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, angles: Tensor) -> None:
        super().__init__()
        dtype = torch.get_default_dtype()
        cos, sin = angles.cos(), angles.sin()
        self.register_buffer("cos", torch.stack([cos, cos], -1).flatten(-2).to(dtype), persistent=False)
        self.register_buffer("sin", torch.stack([-sin, sin], -1).flatten(-2).to(dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Turn `[..., N, D]`: (a, b) becomes (a cos - b sin, b cos + a sin)."""
        swapped = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
        return torch.addcmul(x * self.cos, swapped, self.sin)


def axial_angles(geometry: Geometry, frequencies: Tensor) -> Tensor:
    """Row times frequency and then column times frequency, `[N, 2F]`, of F frequencies in float64."""
    rows = torch.arange(geometry.height, dtype=torch.float64)[:, None, None] * frequencies
    columns = torch.arange(geometry.width, dtype=torch.float64)[:, None] * frequencies
    sides = (geometry.height, geometry.width, -1)
    return torch.cat([rows.expand(sides), columns.expand(sides)], dim=-1).flatten(0, 1)
