"""HorNet: a product that gains one factor a step, each a part of one convolved map."""

from dataclasses import replace

from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.hornet import hornet

SCALE = 1 / 3  # s, of every factor


class PlainHorNet(nn.Module):
    """y₀ = p ⊙ q₀ and y_i = gate_i(y_{i-1}) ⊙ q_i, each y twice as wide as the one before, up to C."""

    def __init__(self, geometry: Geometry, order: int) -> None:
        super().__init__()
        self.size = (geometry.height, geometry.width)
        c = geometry.dim
        self.widths = [c // 2**halvings for halvings in range(order - 1, -1, -1)]
        convolved = sum(self.widths)
        self.parts = (self.widths[0], convolved)  # p and all q
        self.proj_in = nn.Conv2d(c, 2 * c, kernel_size=1)
        self.depthwise = nn.Conv2d(convolved, convolved, kernel_size=7, padding=3, groups=convolved)
        self.gates = nn.ModuleList(nn.Conv2d(width, 2 * width, kernel_size=1) for width in self.widths[:-1])
        self.proj_out = nn.Conv2d(c, c, kernel_size=1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        image = tokens.mT.unflatten(2, self.size)  # [B, C, H, W]
        p, q = self.proj_in(image).split(self.parts, dim=1)
        factors = (SCALE * self.depthwise(q)).split(self.widths, dim=1)
        return self.proj_out(self.product(len(self.gates), p, factors)).flatten(2).mT

    def product(self, i: int, p: Tensor, factors: tuple[Tensor, ...]) -> Tensor:
        """y_i, `[B, width i, H, W]`, from p and q₀, q₁, …"""
        if i == 0:
            return factors[0] * p
        return factors[i] * self.gates[i - 1](self.product(i - 1, p, factors))


plain_hornet = replace(hornet, name="plain-hornet", title="HorNet, plain", build=PlainHorNet)
