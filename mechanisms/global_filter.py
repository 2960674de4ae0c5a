"""Global filter (Rao et al., 2021), the mixing layer of GFNet.

The map's spectrum is multiplied by a learned one, each channel by its own:

    out = IFFT(K ⊙ FFT(x)),     FFT over rows and columns

which is a depthwise convolution whose kernel is as large as the map, on a map whose borders meet. As x is
real, half of its spectrum says all, and K is H × (⌊W/2⌋ + 1) complex numbers a channel, built for the map.
There are no heads, no projections and no residual, and any map will do. torch has no transform in bfloat16;
there it is made in float32.

MACs for N tokens of C channels: 5/4 NC log₂N for each of the two transforms, since one of n real numbers
takes 5/2 n log₂n operations. The product with K is element-wise, and not counted.
"""

import math

import torch
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper
from mechanisms._maps import as_map

ROWS_AND_COLUMNS = (1, 2)


class GlobalFilter(nn.Module):
    """A product of spectra, one filter a channel."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        half = geometry.width // 2 + 1
        planes = 0.02 * torch.randn(geometry.dim, geometry.height, half, 2)
        # K, [H, ⌊W/2⌋ + 1, C, 2], a channel after the other in memory, as a transform leaves the spectrum.
        self.filter = nn.Parameter(planes.permute(1, 2, 0, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        wide = torch.promote_types(x.dtype, torch.float32)
        spectrum = torch.fft.rfft2(as_map(x.to(wide), self.geometry), dim=ROWS_AND_COLUMNS)
        spectrum.mul_(torch.view_as_complex(self.filter.to(wide)))  # [B, H, ⌊W/2⌋ + 1, C]
        size = (self.geometry.height, self.geometry.width)
        return torch.fft.irfft2(spectrum, s=size, dim=ROWS_AND_COLUMNS).flatten(1, 2).to(x.dtype)


def macs(geometry: Geometry) -> int:
    n, c = geometry.tokens, geometry.dim
    return round(2 * (1.25 * n * c * math.log2(n)))


global_filter = Mechanism(
    name="global-filter",
    title="Global Filter",
    build=GlobalFilter,
    macs=macs,
    paper=Paper(
        title="Global Filter Networks for Image Classification",
        venue="NeurIPS",
        year=2021,
        url="https://arxiv.org/abs/2107.00645",
    ),
    family="frequency",
)
