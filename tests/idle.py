"""A plugin with layers that do less work when they are timed than they should, each in its own way.

    attnbench run msa kept-by-shape tired --plugin tests/idle.py --res 4 --dim 96 --heads 3 --batch 4

None of them may end with a speed.
"""

import time
from collections.abc import Callable
from threading import Thread
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench import Geometry, Mechanism, Paper


class Honest(nn.Module):
    """Two projections of tokens, and the mean of the tokens between them."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.first = nn.Linear(geometry.dim, geometry.dim)
        self.last = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        between = self.first(x)
        return self.last(between + between.mean(dim=1, keepdim=True))


class Keeping(Honest):
    """Computes what it has no result for under a key of the input."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.kept: dict[object, Tensor] = {}

    def key(self, x: Tensor) -> object:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        key = self.key(x)
        if key not in self.kept:
            self.kept[key] = super().forward(x)
        return self.kept[key]


class KeptByShape(Keeping):
    def key(self, x: Tensor) -> object:
        return x.shape


class KeptByAddress(Keeping):
    def key(self, x: Tensor) -> object:
        return x.data_ptr()


class KeptByFirst(Keeping):
    def key(self, x: Tensor) -> object:
        return x.shape, float(x[0, 0, 0])


class KeptByAll(KeptByShape):
    """All of them share what they keep, in a process."""

    everywhere: ClassVar[dict[object, Tensor]] = {}

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.kept = self.everywhere


class OneValue(nn.Module):
    """A view of one number."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(1).expand(x.shape)


class Half(Honest):
    """Computes half of the batch, and says that the other half is the same."""

    def forward(self, x: Tensor) -> Tensor:
        half = super().forward(x[: (len(x) + 1) // 2])
        return torch.cat([half, half])[: len(x)]


class InPlace(Honest):
    """Adds to its input, as some blocks write their residual."""

    def forward(self, x: Tensor) -> Tensor:
        x += super().forward(x)
        return x


class Behind(Honest):
    """Halves its input where autograd does not see it, and is right."""

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        x.detach().mul_(0.5)
        return out


class _Halved(torch.autograd.Function):
    """Passes numbers on, and half of their gradient in the place of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].mul_(0.5)


class GradientInPlace(Honest):
    """Changes the gradient that it is given."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = _Halved.apply(super().forward(x))  # type: ignore[no-untyped-call]
        return out


class Overwriting(Honest):
    """Writes all outputs into one memory."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.outputs: dict[object, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        return self.outputs.setdefault(out.shape, torch.empty_like(out)).copy_(out)


class HalfKept(Honest):
    """Computes half of the batch, and takes the other half from the first call."""

    rest: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.rest is None or len(self.rest) != len(x) // 2:
            out = super().forward(x)
            self.rest = out[(len(x) + 1) // 2 :].detach()
            return out
        return torch.cat([super().forward(x[: (len(x) + 1) // 2]), self.rest])


class Late(Honest):
    """Returns at once; a thread goes on."""

    def forward(self, x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        Thread(target=self.fill, args=(x, out)).start()
        return out

    @torch.inference_mode()
    def fill(self, x: Tensor, out: Tensor) -> None:
        time.sleep(0.02)
        out.copy_(super().forward(x))


class Tired(Honest):
    """Computes its first calls alone."""

    calls = 0
    kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls <= 10 or self.kept is None or self.kept.shape != x.shape:
            self.kept = super().forward(x)
        return self.kept


class _KeptGradient(torch.autograd.Function):
    """A product whose gradient is that of its first call."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, kept: dict[object, Tensor]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.kept = kept
        return x.square() @ weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        key = x.shape
        if key not in ctx.kept:
            ctx.kept[key] = 2 * x * (gradients[0] @ weight.mT)
        return ctx.kept[key], (x.square().mT @ gradients[0]).sum(dim=0), None


class GradientKept(nn.Module):
    """Takes its input's gradient from its first call."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(geometry.dim, geometry.dim))
        self.kept: dict[object, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = _KeptGradient.apply(x, self.weight, self.kept)  # type: ignore[no-untyped-call]
        return out


def macs(geometry: Geometry) -> int:
    """2NC²."""
    return 2 * geometry.tokens * geometry.dim**2


def _mechanism(name: str, build: Callable[[Geometry], nn.Module]) -> Mechanism:
    paper = Paper("None", "Nowhere", 2026, "https://example.org")
    return Mechanism(name=name, title=name.capitalize(), build=build, macs=macs, paper=paper)


honest = _mechanism("honest", Honest)
kept_by_shape = _mechanism("kept-by-shape", KeptByShape)
kept_by_address = _mechanism("kept-by-address", KeptByAddress)
kept_by_first = _mechanism("kept-by-first", KeptByFirst)
kept_by_all = _mechanism("kept-by-all", KeptByAll)
one_value = _mechanism("one-value", OneValue)
half = _mechanism("half", Half)
in_place = _mechanism("in-place", InPlace)
behind = _mechanism("behind", Behind)
gradient_in_place = _mechanism("gradient-in-place", GradientInPlace)
overwriting = _mechanism("overwriting", Overwriting)
half_kept = _mechanism("half-kept", HalfKept)
late = _mechanism("late", Late)
tired = _mechanism("tired", Tired)
gradient_kept = _mechanism("gradient-kept", GradientKept)
