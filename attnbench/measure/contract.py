"""What every mechanism must keep to be compared: the tests and `attnbench check` ask the same questions.

Layers are checked in float64, where a difference is a mistake and not a rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnbench.attention import KERNELS, use_kernel
from attnbench.cases.registry import Choice
from attnbench.errors import UnsupportedGeometry
from attnbench.measure.cost import Uncountable, count
from attnbench.measure.execution import cast
from attnbench.measure.layers import shares_memory
from attnbench.measure.strangers import told, wanted
from attnbench.mechanism import Geometry
from attnbench.records.cost import CheckResult

SIZES = ((14, 14), (1, 1), (2, 3), (7, 7), (13, 17), (16, 16), (28, 28), (14, 56))
BATCH = 2
BUILDS = "builds"  # what is no question of its own, and goes before all


@dataclass(frozen=True, slots=True)
class Subject:
    """A mechanism built for a geometry, in float64, with an input `[B, N, C]`."""

    choice: Choice
    geometry: Geometry
    layer: nn.Module
    x: Tensor

    def build(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The same layer once more, from the same seed."""
        return _build(self.choice, self.geometry, dtype)


class Broken(Exception):  # noqa: N818
    """A question that a mechanism does not pass, in words for its author."""


def examine(choice: Choice, geometries: Sequence[Geometry]) -> Iterator[CheckResult]:
    """Put every question to the mechanism at every geometry; one cause is one finding.

    So it is for a geometry that is refused, a layer that cannot be built, and one that does not map tokens.
    """
    for geometry in geometries:
        try:
            layer = _build(choice, geometry)
        except UnsupportedGeometry as refusal:
            yield CheckResult(BUILDS, geometry, None, str(refusal))
        except Exception as error:  # as a stranger's constructor may raise anything
            advice = "a map that it is not made for is refused with UnsupportedGeometry"
            yield CheckResult(BUILDS, geometry, False, f"{told(error)}; {advice}")
        else:
            x = torch.randn(BATCH, geometry.tokens, geometry.dim, dtype=torch.float64)
            yield from _answers(Subject(choice, geometry, layer, x))


def keeps_the_shape(subject: Subject) -> None:
    out = subject.layer(subject.x)
    if out.shape != subject.x.shape or out.dtype != subject.x.dtype:
        raise Broken(
            f"maps {_kind(subject.x)} to {_kind(out)}; tokens [B, N, C] must come back as tokens [B, N, C]"
        )
    if not out.isfinite().all():
        raise Broken("its output holds NaN or infinite numbers")


def keeps_images_apart(subject: Subject) -> None:
    scale = torch.tensor([1.0, 8.0], dtype=torch.float64).view(BATCH, 1, 1)
    x = scale * subject.x  # images of unlike size show what is shared over the batch
    alone = torch.cat([subject.layer(image) for image in x.split(1)])
    _require_equal(subject.layer(x), alone, "an image's output depends on the other images of its batch")


def passes_gradients(subject: Subject) -> None:
    x = subject.x.clone().requires_grad_()
    leaves = {"the input": x} | {name: p for name, p in subject.layer.named_parameters() if p.requires_grad}
    out = subject.layer(x).square().sum()
    gradients = torch.autograd.grad(out, list(leaves.values()), allow_unused=True)
    by_name = zip(leaves, gradients, strict=True)
    lost = [name for name, gradient in by_name if gradient is None or not gradient.isfinite().all()]
    if lost:
        raise Broken(f"no finite gradient reaches {', '.join(lost)}")


def repeats_itself(subject: Subject) -> None:
    before = {name: value.clone() for name, value in subject.layer.state_dict().items()}
    x = subject.x.clone()
    first = subject.layer(x)
    _require_equal(x, subject.x, "its forward pass changes its input", tolerance=0)
    for name, value in subject.layer.state_dict().items():
        _require_equal(value, before[name], f"its forward pass changes {name}", tolerance=0)
    second = subject.layer(x)
    _require_equal(second, first, "two calls with one input differ", tolerance=0)
    if shares_memory(first, x):
        raise Broken("its output is its input, or a view of it: who changes one changes the other")
    if shares_memory(first, second):
        raise Broken("it keeps its output: the next call writes into what the last one returned")


def follows_the_seed(subject: Subject) -> None:
    twin = subject.build()
    message = "torch.manual_seed does not fix its construction; take random numbers from torch alone"
    _require_equal(subject.layer(subject.x), twin(subject.x), message, tolerance=0)


def moves_as_one(subject: Subject) -> None:
    single = subject.build(torch.float32)(subject.x.float())
    if single.dtype != torch.float32:
        raise Broken(
            f"in float32 it answers in {single.dtype}: a tensor of its own did not move with the module"
        )
    message = "float32 differs from float64 by more than rounding"
    _require_equal(single.double(), subject.layer(subject.x), message, tolerance=1e-3)


def agrees_under_every_kernel(subject: Subject) -> None:
    expected = subject.layer(subject.x)
    for kernel in KERNELS:
        with use_kernel(kernel):
            _require_equal(
                subject.layer(subject.x), expected, f"its output changes with the kernel {kernel!r}"
            )


def costs_what_it_says(subject: Subject) -> None:
    mechanism = subject.choice.mechanism
    counted = count(subject.layer, subject.geometry, mechanism.operators)
    promised = mechanism.macs(subject.geometry, **subject.choice.settings)
    if counted.uncounted:
        raise Broken(f"its FLOPs are a lower bound: there is no formula for {', '.join(counted.uncounted)}")
    if counted.macs_of_another is not None:
        raise Broken(
            f"its FLOPs depend on the image: {counted.macs:,} multiply-adds of one and "
            f"{counted.macs_of_another:,} of another, where the closed form says {promised:,} of all"
        )
    if counted.macs != promised:
        raise Broken(f"costs {counted.macs:,} multiply-adds, but its closed form says {promised:,}")


QUESTIONS: dict[str, Callable[[Subject], None]] = {
    "maps tokens to tokens": keeps_the_shape,
    "keeps images apart": keeps_images_apart,
    "passes gradients": passes_gradients,
    "repeats itself": repeats_itself,
    "follows the seed": follows_the_seed,
    "moves with its module": moves_as_one,
    "agrees under every kernel": agrees_under_every_kernel,
    "costs what its closed form says": costs_what_it_says,
}


def _build(choice: Choice, geometry: Geometry, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    layer = choice.mechanism.build(geometry, **choice.settings)
    layer.eval()  # a statement: its value need not be the layer
    cast(layer, dtype)
    return layer


def _answers(subject: Subject) -> Iterator[CheckResult]:
    """What comes of the questions, without those that fail of what one before them failed of."""
    if reason := _no_tokens(subject):
        yield CheckResult(next(iter(QUESTIONS)), subject.geometry, False, reason)
        return
    known: set[str] = set()
    for question, ask in QUESTIONS.items():
        result = _answer(question, ask, subject)
        if result.passed or result.detail not in known:
            yield result
        known.add(result.detail)


def _no_tokens(subject: Subject) -> str | None:
    """Why a layer gives no tensor at all for tokens; None where it gives one."""
    try:
        if isinstance(subject.layer(subject.x.clone()), Tensor):
            return None
    except Exception as error:
        return wanted(subject.layer, subject.x, subject.geometry) or told(error)
    return wanted(subject.layer, subject.x, subject.geometry)


def _answer(question: str, ask: Callable[[Subject], None], subject: Subject) -> CheckResult:
    try:
        ask(subject)
    except Broken as broken:
        return CheckResult(question, subject.geometry, False, str(broken))
    except Exception as error:  # a stranger's layer may fail in any way, and the other questions go on
        cause = error.__cause__ if isinstance(error, Uncountable) else None
        return CheckResult(question, subject.geometry, False, told(cause or error))
    return CheckResult(question, subject.geometry, True)


def _require_equal(actual: Tensor, expected: Tensor, otherwise: str, tolerance: float = 1e-9) -> None:
    actual, expected = actual.detach(), expected.detach()
    if actual.shape != expected.shape:
        raise Broken(f"{otherwise} ({_kind(actual)} and {_kind(expected)})")
    scale = expected.abs().max().clamp(min=1) if expected.numel() else 1
    difference = float((actual - expected).abs().max() / scale) if expected.numel() else 0.0
    if not difference <= tolerance:
        raise Broken(f"{otherwise} (by {difference:.1e} of the largest value)")


def _kind(x: Tensor) -> str:
    return f"{list(x.shape)} {str(x.dtype).removeprefix('torch.')}"
