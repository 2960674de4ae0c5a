"""Focal modulation (Yang et al., 2022), the mixing layer of FocalNet.

No token attends: each is multiplied by a sum over what is around it, in which a gate for every distance says
how much that matters. Distances are L depthwise convolutions one after the other, of w × w tokens,
(w + 2) × (w + 2) and so on, and as the last of all the mean over the map:

    [q ; z_0 ; g] = proj_in x                q and z_0 have C channels, g one for each of the L + 1 levels
    z_l = GELU(conv_l(z_(l-1)))              for l = 1 … L
    m = Σ_l g_l z_l + g_(L+1) GELU(mean of z_L over the map)
    out = proj_out(q ⊙ mix(m))

Gates have no activation, and the convolutions no bias. There are no heads, and any map will do.

MACs for N tokens of C channels: NC(2C + L + 1) for the first projection, 2NC² for the two others, NC times
the kernel's area for each convolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from mechanisms._maps import as_channels_first, as_tokens


class FocalModulation(nn.Module):
    """A product of each token with a gated sum of ever wider surroundings."""

    def __init__(self, geometry: Geometry, *, levels: int, window: int) -> None:
        super().__init__()
        self.geometry = geometry
        c = geometry.dim
        self.parts = (c, c, levels + 1)
        self.proj_in = nn.Linear(c, sum(self.parts))
        self.surroundings = nn.ModuleList(
            nn.Conv2d(c, c, size, padding=size // 2, groups=c, bias=False) for size in kernels(levels, window)
        )
        self.mix = nn.Linear(c, c)
        self.proj_out = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        # Three products with parts of one weight: the convolution would copy a slice of a joint output.
        parameters = (parameter.split(self.parts) for parameter in self.proj_in.parameters())
        q, z, gates = (F.linear(x, weight, bias) for weight, bias in zip(*parameters, strict=True))
        modulator = self.mix(self.gather(z, gates))
        return self.proj_out(modulator.mul_(q))  # in place: the fresh output of a projection

    def gather(self, z: Tensor, gates: Tensor) -> Tensor:
        """m, `[B, N, C]`, of tokens z_0 `[B, N, C]` and gates `[B, N, L + 1]`."""
        *near, far = gates.split(1, dim=-1)
        total = torch.zeros_like(z)
        for gate, convolution in zip(near, self.surroundings, strict=True):
            z = F.gelu(as_tokens(convolution(as_channels_first(z, self.geometry))))
            total = total.addcmul(z, gate)
        return total.addcmul(F.gelu(z.mean(dim=1, keepdim=True)), far)


def kernels(levels: int, window: int) -> range:
    """Sides of the convolutions, narrowest first."""
    if levels < 1:
        raise InvalidSetting(f"focal-modulation: levels is {levels}; it must be at least 1.")
    if window < 1 or window % 2 == 0:
        raise InvalidSetting(
            f"focal-modulation: window is {window}; it must be an odd number, so that kernels have a centre."
        )
    return range(window, window + 2 * levels, 2)


def macs(geometry: Geometry, levels: int, window: int) -> int:
    n, c = geometry.tokens, geometry.dim
    areas = sum(size**2 for size in kernels(levels, window))
    return n * c * (2 * c + levels + 1) + areas * n * c + 2 * n * c**2


focal_modulation = Mechanism(
    name="focal-modulation",
    title="Focal Modulation",
    build=FocalModulation,
    macs=macs,
    settings={"levels": 3, "window": 3},
    paper=Paper(
        title="Focal Modulation Networks",
        venue="NeurIPS",
        year=2022,
        url="https://arxiv.org/abs/2203.11926",
    ),
    family="convolution",
)
