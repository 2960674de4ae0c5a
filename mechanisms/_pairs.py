"""Rotary positions: neighbouring channels as points of a plane, rotated by how far along the map a token is.

Channels 2j and 2j + 1 of a token with angles a_j become

    x_2j cos a_j − x_2j+1 sin a_j,     x_2j sin a_j + x_2j+1 cos a_j.
"""

import torch
from torch import Tensor

from attnbench import Geometry


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Heads `[..., N, D]` by angles whose cosines and sines are `[..., N, D/2]`.

    As complex numbers, which are neighbours in memory, in one pass. They are no narrower than float32, and
    torch's compiler has none.
    """
    if torch.compiler.is_compiling():
        first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack([first * cos - second * sin, first * sin + second * cos], dim=-1).flatten(-2)
    wide = torch.float32 if x.dtype.itemsize < 4 else x.dtype
    points = torch.view_as_complex(x.to(wide).unflatten(-1, (-1, 2)))
    return torch.view_as_real(points * torch.complex(cos.to(wide), sin.to(wide))).flatten(-2).to(x.dtype)


def axial_angles(geometry: Geometry, frequencies: Tensor) -> Tensor:
    """Angles `[N, 2F]` of F frequencies f: [r · f ; c · f] for the token in row r and column c."""
    rows = torch.arange(geometry.height).repeat_interleave(geometry.width)
    columns = torch.arange(geometry.width).repeat(geometry.height)
    return torch.cat([places.unsqueeze(-1) * frequencies for places in (rows, columns)], dim=-1)
