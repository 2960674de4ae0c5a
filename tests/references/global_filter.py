"""1/N Σ_uv m_v Re(K_uv X_uv e^{2πi (ur/H + vc/W)}), the sums written out, a frequency and a token at a time.

    X_uv = Σ_rc x_rc e^{−2πi (ur/H + vc/W)},  u = 0 … H−1,  v = 0 … ⌊W/2⌋

m_v = 2 counts the columns of the spectrum that are left out, which hold the conjugates of those that are not;
v = 0 and v = W/2 have none.
"""

import math
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry


def reference(layer: Any, x: Tensor, geometry: Geometry) -> Tensor:
    height, width = geometry.height, geometry.width
    images = []
    for image in x:
        out = torch.zeros(geometry.tokens, geometry.dim)
        for u in range(height):
            for v in range(width // 2 + 1):
                angles = torch.tensor(
                    [
                        2 * math.pi * (u * row / height + v * column / width)
                        for row in range(height)
                        for column in range(width)
                    ]
                )
                cos, sin = angles.cos(), angles.sin()
                real, imaginary = cos @ image, -sin @ image  # of X_uv, each [C]
                a, b = layer.filter[u, v, :, 0], layer.filter[u, v, :, 1]
                real, imaginary = a * real - b * imaginary, a * imaginary + b * real
                times = 1 if v in (0, width / 2) else 2
                out = out + times * (torch.outer(cos, real) - torch.outer(sin, imaginary))
        images.append(out / geometry.tokens)
    return torch.stack(images)
