"""A plugin with layers that change what all layers of their process share."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attnbench import Geometry, Mechanism


class Honest(nn.Module):
    """One linear map."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.map = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        return self.map(x)


class AlwaysOneThread(Honest):
    """Sets the number of threads while it is built."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        torch.set_num_threads(3)


class OneThreadACall(Honest):
    """Sets the number of threads in each call."""

    def forward(self, x: Tensor) -> Tensor:
        torch.set_num_threads(3)
        return super().forward(x)


class LateThreads(Honest):
    """Sets the number of threads after a few calls, in rounds that are timed."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        LateThreads.calls += 1
        if LateThreads.calls > 40:
            torch.set_num_threads(3)
        return super().forward(x)


class Rounds(Honest):
    """Makes products in TF32 in each call."""

    def forward(self, x: Tensor) -> Tensor:
        torch.backends.cuda.matmul.allow_tf32 = True
        return super().forward(x)


class RoundsInTheNewerWay(Honest):
    """Makes products in TF32 in each call, as torch has it since 2.9."""

    def forward(self, x: Tensor) -> Tensor:
        matmul: Any = torch.backends.cuda.matmul
        matmul.fp32_precision = "tf32"
        return super().forward(x)


class BuiltRounding(Honest):
    """Wants products in TF32 while it is built, as torch has it since 2.9."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        matmul: Any = torch.backends.cuda.matmul
        matmul.fp32_precision = "tf32"


class SeedsItself(Honest):
    """Has the same weights whatever the run's seed is."""

    def __init__(self, geometry: Geometry) -> None:
        torch.manual_seed(5)
        super().__init__(geometry)


class SeedsEachCall(Honest):
    """Draws the same mask in each call."""

    def forward(self, x: Tensor) -> Tensor:
        torch.manual_seed(5)
        return super().forward(x) * torch.rand(x.shape[-1])


class Draws(Honest):
    """Draws another mask in each call."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.rand(x.shape[-1])


class Unbuildable(Honest):
    """Leaves another number of threads behind, and cannot be built."""

    def __init__(self, geometry: Geometry) -> None:
        torch.set_num_threads(3)
        raise ValueError("no")


def _mechanism(name: str, build: Callable[[Geometry], nn.Module]) -> Mechanism:
    return Mechanism(name=name, title=name.capitalize(), build=build)


once = _mechanism("once", AlwaysOneThread)
each_call = _mechanism("each-call", OneThreadACall)
late = _mechanism("late", LateThreads)
rounds = _mechanism("rounds", Rounds)
rounds_newly = _mechanism("rounds-in-the-newer-way", RoundsInTheNewerWay)
built_rounding = _mechanism("built-rounding", BuiltRounding)
seeds_itself = _mechanism("seeds-itself", SeedsItself)
seeds_each_call = _mechanism("seeds-each-call", SeedsEachCall)
draws = _mechanism("draws", Draws)
unbuildable = _mechanism("unbuildable", Unbuildable)
