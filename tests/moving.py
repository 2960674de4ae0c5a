"""A plugin with honest layers whose results move from call to call, or depend on more than an image."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper
from tests.idle import Honest, macs


class Dropping(Honest):
    """Leaves out a tenth of its numbers while it learns."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(super().forward(x), 0.1, self.training)


class RandomFeatures(Honest):
    """Draws its features anew in each call."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((x @ torch.randn(x.shape[-1], x.shape[-1], dtype=x.dtype)).relu())


class Normalised(Honest):
    """Sees all images of a batch while it learns, and has running statistics."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.norm = nn.BatchNorm1d(geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.norm(x.mT).mT)


class Following(Honest):
    """Divides by a scale that follows the inputs from call to call."""

    scale: Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        self.scale.mul_(0.9).add_(0.3 * x.detach().std())
        return super().forward(x / self.scale)


class Placed(Honest):
    """Keeps a table of positions for each size of the map."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.tables: dict[object, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        key = x.shape[1:], x.dtype
        if key not in self.tables:
            self.tables[key] = torch.arange(x.shape[1], device=x.device).to(x.dtype).sin()[:, None]
        return super().forward(x + self.tables[key])


class Rounded(Honest):
    """Rounds batches otherwise than images, as kernels may."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + torch.finfo(x.dtype).eps * (len(x) > 1))


class Closed(Honest):
    """Begins as nothing, as the last layer of a residual branch may."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)


class Passing(Honest):
    """Passes its input on."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mT.mT


class InPairs(Honest):
    """Takes an even number of images, and no other."""

    def forward(self, x: Tensor) -> Tensor:
        assert len(x) % 2 == 0
        return super().forward(x)


class PassingInPairs(Passing):
    """Passes an even number of images on, and no other."""

    def forward(self, x: Tensor) -> Tensor:
        assert len(x) % 2 == 0
        return super().forward(x)


class Alternating(Honest):
    """Turns its output round in every other call."""

    sign: Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.register_buffer("sign", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        self.sign.neg_()
        return super().forward(x) * self.sign


class Begun(Closed):
    """The same for every input before it learns."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        nn.init.ones_(self.last.bias)


def _mechanism(name: str, build: Callable[[Geometry], nn.Module]) -> Mechanism:
    paper = Paper("None", "Nowhere", 2026, "https://example.org")
    return Mechanism(name=name, title=name.capitalize(), build=build, macs=macs, paper=paper)


dropping = _mechanism("dropping", Dropping)
random_features = _mechanism("random-features", RandomFeatures)
normalised = _mechanism("normalised", Normalised)
following = _mechanism("following", Following)
placed = _mechanism("placed", Placed)
rounded = _mechanism("rounded", Rounded)
closed = _mechanism("closed", Closed)
passing = _mechanism("passing", Passing)
in_pairs = _mechanism("in-pairs", InPairs)
passing_in_pairs = _mechanism("passing-in-pairs", PassingInPairs)
alternating = _mechanism("alternating", Alternating)
begun = _mechanism("begun", Begun)
