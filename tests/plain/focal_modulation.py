"""Focal Modulation: a token times what it finds around it, near, further away and on the whole map."""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.focal_modulation import focal_modulation


class PlainFocalModulation(nn.Module):
    """out = proj_out(q ⊙ mix(Σ context ⊙ gate)), with a context for each convolution and one of the map."""

    def __init__(self, geometry: Geometry, levels: int, window: int) -> None:
        super().__init__()
        self.size = (geometry.height, geometry.width)
        self.levels = levels
        c = geometry.dim
        self.parts = (c, c, levels + 1)  # query, context, gates
        self.proj_in = nn.Linear(c, 2 * c + levels + 1)
        self.surroundings = nn.ModuleList()
        for level in range(levels):
            side = window + 2 * level
            self.surroundings.append(
                nn.Conv2d(c, c, kernel_size=side, padding=side // 2, groups=c, bias=False)
            )
        self.mix = nn.Conv2d(c, c, kernel_size=1)
        self.proj_out = nn.Linear(c, c)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        image = self.proj_in(tokens).mT.unflatten(2, self.size)  # [B, 2C + levels + 1, H, W]
        query, context, gates = image.split(self.parts, dim=1)

        gathered = 0
        for level, convolution in enumerate(self.surroundings):
            context = F.gelu(convolution(context))
            gathered = gathered + context * gates[:, level : level + 1]
        whole = F.gelu(context.mean(dim=(2, 3), keepdim=True))
        gathered = gathered + whole * gates[:, self.levels :]

        return self.proj_out((query * self.mix(gathered)).flatten(2).mT)


plain_focal_modulation = replace(
    focal_modulation,
    name="plain-focal-modulation",
    title="Focal Modulation, plain",
    build=PlainFocalModulation,
)
