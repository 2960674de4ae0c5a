"""What every mechanism must keep to be compared: the tests and `attnbench check` ask the same questions.

Layers are checked in float64, where a difference is a mistake and not a rounding; in float32, with room for
rounding, where float64 does not run. No question but that for gradients asks for any.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from attnbench.attention import KERNELS, use_kernel
from attnbench.cases.choice import Choice
from attnbench.errors import UnsupportedGeometry
from attnbench.measuring.cost import Uncountable, count
from attnbench.measuring.execution import CannotRun, autocast, backends_of, cast
from attnbench.measuring.failures import told
from attnbench.measuring.layers import shares_memory
from attnbench.measuring.layouts import layer_of
from attnbench.measuring.strangers import wanted
from attnbench.mechanism import Geometry
from attnbench.records.cost import CheckResult

SIZES = ((14, 14), (1, 1), (2, 3), (7, 7), (13, 17), (16, 16), (28, 28), (14, 56))
IMAGE_SIZES = ((224, 224), (256, 192), (225, 225))
BATCH = 2
BUILDS = "builds"  # what is no question of its own, and goes before all
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}
"""How far apart the same results may be, as a share of the largest value."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A mechanism built for a geometry, in float64, with an input: tokens `[B, N, C]`, or images of a model.

    Where it does not run in float64, all is in float32, and the `refusal` says why.
    """

    choice: Choice
    geometry: Geometry
    layer: nn.Module
    x: Tensor
    refusal: str = ""

    def build(self, dtype: torch.dtype | None = None) -> nn.Module:
        """The same layer once more, from the same seed, in its own number format or another."""
        return _build(self.choice, self.geometry, dtype or self.x.dtype)

    @property
    def tolerance(self) -> float:
        """How far apart results may be that are the same."""
        return TOLERANCES[self.x.dtype]


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
        except (Exception, SystemExit) as error:  # as a stranger's constructor may raise anything
            advice = "a map that it is not made for is refused with UnsupportedGeometry"
            yield CheckResult(BUILDS, geometry, False, f"{told(error)}; {advice}")
        else:
            x = torch.randn(geometry.input_shape(BATCH), dtype=torch.float64)
            yield from _answers(_where_it_runs(Subject(choice, geometry, layer, x)))


@torch.no_grad()
def _where_it_runs(subject: Subject) -> Subject:
    """The subject, or the same in float32 where it runs in that and not in float64."""
    try:
        subject.layer(subject.x.clone())
    except (Exception, SystemExit) as error:
        single = replace(
            subject, layer=subject.build(torch.float32), x=subject.x.float(), refusal=told(error)
        )
        with suppress(Exception, SystemExit):
            single.layer(single.x.clone())
            return single
    return subject


@torch.no_grad()
def keeps_the_shape(subject: Subject) -> None:
    out = subject.layer(subject.x)
    expected = subject.geometry.output_shape(BATCH)
    if out.shape != expected or out.dtype != subject.x.dtype:
        what = (
            f"images [B, 3, H, W] must give scores {list(expected)}"
            if subject.geometry.images
            else "tokens [B, N, C] must come back as tokens [B, N, C]"
        )
        raise Broken(f"maps {_kind(subject.x)} to {_kind(out)}; {what}")
    if not out.isfinite().all():
        raise Broken("its output holds NaN or infinite numbers")


@torch.no_grad()
def keeps_images_apart(subject: Subject) -> None:
    scale = torch.tensor([1.0, 8.0], dtype=subject.x.dtype).view(BATCH, *[1] * (subject.x.dim() - 1))
    x = scale * subject.x  # images of unlike size show what is shared over the batch
    alone = torch.cat([subject.layer(image.clone()) for image in x.split(1)])
    message = "an image's output depends on the other images of its batch"
    _require_equal(subject.layer(x), alone, message, subject.tolerance)


def passes_gradients(subject: Subject) -> None:
    lost = _without_gradient(subject)
    if lost:  # or only outside of training, where a layer may keep what its parameters give
        subject.layer.train()
        try:
            lost = _without_gradient(subject)
        finally:
            subject.layer.eval()
    if lost:
        raise Broken(f"no finite gradient reaches {', '.join(lost)}")


def _without_gradient(subject: Subject) -> list[str]:
    """The input and the parameters that no finite gradient reaches."""
    x = subject.x.clone().requires_grad_()
    leaves = {"the input": x} | {name: p for name, p in subject.layer.named_parameters() if p.requires_grad}
    out = subject.layer(x.clone()).square().sum()  # of no leaf, as where other layers stand before this one
    gradients = torch.autograd.grad(out, list(leaves.values()), allow_unused=True)
    by_name = zip(leaves, gradients, strict=True)
    return [name for name, gradient in by_name if gradient is None or not gradient.isfinite().all()]


@torch.no_grad()
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


@torch.no_grad()
def answers_alike_in_inference_mode(subject: Subject) -> None:
    expected = subject.layer(subject.x.clone())
    with torch.inference_mode():
        timed = subject.layer(subject.x.clone())
    message = "in inference mode, in which `run` times it, its output is another"
    _require_equal(timed, expected, message, subject.tolerance)


@torch.no_grad()
def follows_the_seed(subject: Subject) -> None:
    twin = subject.build()
    message = "torch.manual_seed does not fix its construction; take random numbers from torch alone"
    _require_equal(subject.layer(subject.x), twin(subject.x), message, tolerance=0)


@torch.no_grad()
def moves_as_one(subject: Subject) -> None:
    if subject.refusal:
        raise Broken(f"it does not run in float64: {subject.refusal}")
    single = subject.build(torch.float32)(subject.x.float())
    _require_moved(single, torch.float32)
    message = "float32 differs from float64 by more than rounding"
    _require_equal(single.double(), subject.layer(subject.x), message, tolerance=1e-3)


@torch.no_grad()
def moves_to_bfloat16(subject: Subject) -> str | None:
    layer = subject.build(torch.bfloat16)
    try:
        out = layer(subject.x.bfloat16())
    except (Exception, SystemExit) as error:
        raise Broken(f"it does not run in bfloat16: {told(error)}") from error
    _require_moved(out, torch.bfloat16)
    if not out.isfinite().all():
        raise Broken("in bfloat16 its output holds NaN or infinite numbers")
    return _of_autocast(subject)


@torch.no_grad()
def agrees_under_every_kernel(subject: Subject) -> str:
    expected = subject.layer(subject.x)
    for kernel in KERNELS:
        with use_kernel(kernel):
            message = f"its output changes with the kernel {kernel!r}"
            _require_equal(subject.layer(subject.x), expected, message, subject.tolerance)
    return _of_its_own_attention(subject)


def costs_what_it_says(subject: Subject) -> str | None:
    mechanism = subject.choice.mechanism
    try:
        counted = count(subject.layer, subject.geometry, mechanism.operators)
    except Uncountable as why:
        raise Broken(f"its FLOPs cannot be counted: {_first_line(why)}") from why
    promised = mechanism.closed_form(subject.geometry, **subject.choice.settings)
    if promised is None:
        return (
            "its FLOPs are counted only: a closed form `macs` would hold the count to what its author means"
        )
    if counted.uncounted:
        raise Broken(f"its FLOPs are a lower bound: there is no formula for {', '.join(counted.uncounted)}")
    if counted.macs_of_another is not None:
        raise Broken(
            f"its FLOPs depend on the image: {counted.macs:,} multiply-adds of one and "
            f"{counted.macs_of_another:,} of another, where the closed form says {promised:,} of all"
        )
    if counted.macs != promised:
        raise Broken(f"costs {counted.macs:,} multiply-adds, but its closed form says {promised:,}")
    return None


QUESTIONS: dict[str, Callable[[Subject], str | None]] = {
    "maps tokens to tokens": keeps_the_shape,
    "keeps images apart": keeps_images_apart,
    "passes gradients": passes_gradients,
    "repeats itself": repeats_itself,
    "answers alike in inference mode": answers_alike_in_inference_mode,
    "follows the seed": follows_the_seed,
    "moves with its module": moves_as_one,
    "moves to bfloat16": moves_to_bfloat16,
    "agrees under every kernel": agrees_under_every_kernel,
    "costs what its closed form says": costs_what_it_says,
}


def _build(choice: Choice, geometry: Geometry, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    layer = layer_of(choice.mechanism, geometry, choice.settings)
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
        if result.passed or not any(detail in result.detail for detail in known):
            yield result
        if not result.passed:
            known.add(result.detail)


@torch.no_grad()
def _no_tokens(subject: Subject) -> str | None:
    """Why a layer gives no tensor at all for tokens; None where it gives one."""
    try:
        if isinstance(subject.layer(subject.x.clone()), Tensor):
            return None
    except (Exception, SystemExit) as error:
        return wanted(subject.layer, subject.x, subject.geometry) or told(error)
    return wanted(subject.layer, subject.x, subject.geometry)


def _answer(question: str, ask: Callable[[Subject], str | None], subject: Subject) -> CheckResult:
    try:
        remark = ask(subject)
    except Broken as broken:
        return CheckResult(question, subject.geometry, False, str(broken))
    except CannotRun as refusal:
        return CheckResult(question, subject.geometry, None, str(refusal))
    except (Exception, SystemExit) as error:  # in any way that a stranger's layer may; the others go on
        cause = error.__cause__ if isinstance(error, Uncountable) else None
        return CheckResult(question, subject.geometry, False, told(cause or error))
    return CheckResult(question, subject.geometry, True, remark or "")


def _of_autocast(subject: Subject) -> str | None:
    """What an author should know whose layer runs in bfloat16, and not under torch.autocast."""
    try:
        autocast(subject.build(torch.float32), "bfloat16", "cpu")(subject.x.float())
    except (Exception, SystemExit) as error:
        return f"under torch.autocast, as --autocast bfloat16 runs it, it fails: {told(error)}"
    return None


def _of_its_own_attention(subject: Subject) -> str:
    """What an author should know whose layer asks for torch's fused attention by itself."""
    with use_kernel("explicit"):
        ran = backends_of(lambda: subject.layer(subject.x))
        frozen = subject.build().requires_grad_(False)
        would_run = backends_of(lambda: frozen(subject.x))
    if not ran:
        return ""
    remark = (
        f"it asks for torch's fused attention by itself, which runs as {', '.join(ran)} whatever --kernel "
        "says; attnbench.attention.attend would let that choose"
    )
    if would_run == ran:
        return remark
    return (
        f"{remark}. It would run as {', '.join(would_run)} if no parameter asked for a gradient: where none "
        "is needed, give it the mask as bias.detach()"
    )


def _require_equal(actual: Tensor, expected: Tensor, otherwise: str, tolerance: float) -> None:
    actual, expected = actual.detach(), expected.detach()
    if actual.shape != expected.shape:
        raise Broken(f"{otherwise} ({_kind(actual)} and {_kind(expected)})")
    scale = expected.abs().max().clamp(min=1) if expected.numel() else 1
    difference = float((actual - expected).abs().max() / scale) if expected.numel() else 0.0
    if not difference <= tolerance:
        raise Broken(f"{otherwise} (by {difference:.1e} of the largest value)")


def _require_moved(out: Tensor, dtype: torch.dtype) -> None:
    if out.dtype != dtype:
        raise Broken(
            f"in {_word(dtype)} it answers in {_word(out.dtype)}: a tensor of its own did not move with the "
            "module"
        )


def _kind(x: Tensor) -> str:
    return f"{list(x.shape)} {_word(x.dtype)}"


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _first_line(error: Exception) -> str:
    return told(error.__cause__) if error.__cause__ else str(error).partition("\n")[0]
