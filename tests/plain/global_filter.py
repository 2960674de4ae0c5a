"""Global Filter: a map's spectrum times a learned one."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.global_filter import global_filter


class PlainGlobalFilter(nn.Module):
    """out = irfft2(rfft2(map) ⊙ filter), both orthonormal."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.size = (geometry.height, geometry.width)
        columns = geometry.width // 2 + 1
        self.filter = nn.Parameter(torch.randn(geometry.height, columns, geometry.dim, 2) * 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        image = tokens.unflatten(1, self.size).to(torch.promote_types(tokens.dtype, torch.float32))
        spectrum = torch.fft.rfft2(image, dim=(1, 2), norm="ortho")
        spectrum = spectrum * torch.view_as_complex(self.filter.to(image.dtype))
        image = torch.fft.irfft2(spectrum, s=self.size, dim=(1, 2), norm="ortho")
        return image.flatten(1, 2).to(tokens.dtype)


plain_global_filter = replace(
    global_filter, name="plain-global-filter", title="Global Filter, plain", build=PlainGlobalFilter
)
