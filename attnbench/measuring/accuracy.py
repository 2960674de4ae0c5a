"""How far a variant's results are from those of the same layer in float64, explicit and eager.

A fast way to run a layer is worth a speed only where it computes the layer.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnbench.cases.case import Case, Mode
from attnbench.cases.registry import Registry
from attnbench.cases.variant import PLAIN, Variant
from attnbench.machine.devices import any_lost, exact_device
from attnbench.measuring.execution import dtype_of, graphed, running
from attnbench.measuring.failures import told
from attnbench.measuring.layers import Results, WrongOutput, build, check_results, is_shortage, make_step
from attnbench.measuring.seeds import seed_torch

EXACT = Variant(dtype="float64")
IMAGES = 4  # of a batch, are compared: the images of a batch do not see each other
BOUNDS = {"float64": 1e-10, "float32": 1e-5, "tf32": 0.1, "float16": 0.1, "bfloat16": 0.15}
"""The largest relative error of each number format.

Over all built-in layers, rounding alone gives at most 1e-6 in float32, 3e-3 in float16 and 3e-2 in bfloat16;
one that chooses takes others where two are nearly equal, QuadTree its keys and DAT, in training, the cells
that it samples in: up to 6e-2 and 1.1e-1.
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Random tokens that no timing uses, with a gradient of the output, and what a layer makes of them.

    The gradient is zero but for the first `images`, whose results are compared, so that what parameters learn
    comes from these alone. The answer is that of the `reference`, and `remark` says why where it is not in
    float64.
    """

    batch: Tensor
    gradient: Tensor
    images: int
    answer: list[Tensor]
    reference: Case
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The largest relative error, None where nothing could be compared; `remark` says with what it was.

    `first_s` is how long the first call took, with what it compiled or captured.
    """

    error: float | None
    first_s: float
    remark: str


class ReferenceTooLarge(Exception):  # noqa: N818
    """There is no memory for the layer in float64, whatever there is for its variant."""


def ask_in_float64(registry: Registry, case: Case, seed: int, images: int = IMAGES) -> Question:
    """The case's layer in float64, explicit and eager, on a few of the images.

    It is computed on the CPU where the device has no float64. A layer that does not run in float64 answers in
    float32.
    """
    few = min(case.workload.batch, images)
    batch, gradient = _tokens(case, seed)
    gradient[few:] = 0
    exact = replace(
        case,
        workload=replace(case.workload, batch=few),
        variant=EXACT,
        device=exact_device(case.device),
    )
    try:
        answer = _results(registry, exact, batch, gradient, seed, few)
        return Question(batch, gradient, few, answer, exact)
    except WrongOutput:
        raise
    except Exception as error:
        if is_shortage(error):
            raise ReferenceTooLarge(str(error).partition("\n")[0]) from error
        single, reason = replace(exact, variant=PLAIN), f"it does not run in float64: {told(error)}"
        try:
            answer = _results(registry, single, batch, gradient, seed, few)
        except Exception:
            raise RuntimeError(f"in float64, as the reference, {error}") from error
        return Question(batch, gradient, few, answer, single, f"compared with float32, for {reason}")


def call_once(registry: Registry, case: Case, seed: int) -> None:
    """Let a new layer of the case compile or capture; its results must be numbers, and are not compared."""
    _results(registry, case, *_tokens(case, seed), seed)


def require_agreement(registry: Registry, case: Case, seed: int, question: Question) -> Agreement:
    """The largest relative error of the case's results: of the output and, in training, of the gradients.

    Those are the input's, and all of the parameters' as one. An error beyond the bound of the case's number
    format is a `WrongOutput`, unless the layer is as far from itself: where its images see each other it is
    compared on the whole batch, and where it draws random numbers in training in eval mode, without them.
    """
    started = time.perf_counter()
    results = _results(registry, case, question.batch, question.gradient, seed, question.images)
    first_s = time.perf_counter() - started
    bound = BOUNDS[case.variant.computed]
    error = _error(results, question.answer)
    if error <= bound:
        return Agreement(error, first_s, question.remark)
    whole = _answer(registry, question, case.workload.batch, seed)
    if whole and _error(results, whole) <= bound:
        return Agreement(_error(results, whole), first_s, question.remark)
    if not whole and _images_see_each_other(registry, question, seed):
        why = "its images see each other, and there is no reference for the whole batch"
        return Agreement(None, first_s, f"not compared with float64: {why}")
    random = _is_random(registry, question, seed)
    if random and case.workload.mode is Mode.training:
        results = _results(
            registry, case, question.batch, question.gradient, seed, question.images, settled=True
        )
        settled = _answer(registry, question, question.reference.workload.batch, seed, settled=True)
        error = _error(results, settled) if settled else math.inf
        if error <= bound:
            why = "in training its results differ from call to call"
            exact = question.reference.variant.dtype
            return Agreement(error, first_s, f"compared with {exact} in eval mode: {why}")
        random = not settled or _is_random(registry, question, seed, settled=True)
    if random:
        return Agreement(None, first_s, "not compared with float64: its results differ from call to call")
    raise WrongOutput(
        f"its results are {error:.2g} of their size away from those of the same layer in "
        f"{question.reference.variant.dtype}; {case.variant.dtype} is allowed {bound:g}"
    )


def _answer(
    registry: Registry, question: Question, images: int, seed: int, *, settled: bool = False, draw: int = 0
) -> list[Tensor] | None:
    """The reference's answer otherwise: on more images, in eval mode, or with other random numbers.

    None where the reference cannot do that, as with too many images for the memory; a device that is lost
    with it is told of.
    """
    workload = replace(question.reference.workload, batch=images)
    case = replace(question.reference, workload=workload)
    try:
        return _results(
            registry,
            case,
            question.batch,
            question.gradient,
            seed,
            question.images,
            settled=settled,
            draw=draw,
        )
    except Exception:
        if any_lost():
            raise
        return None


def _images_see_each_other(registry: Registry, question: Question, seed: int) -> bool:
    """Whether the reference has other outputs for the same images where there are fewer."""
    fewer = math.ceil(question.reference.workload.batch / 2)
    answer = _answer(registry, question, fewer, seed)
    bound = BOUNDS[question.reference.variant.dtype]
    return not answer or relative_error(answer[0], question.answer[0][:fewer]) > bound


def _is_random(registry: Registry, question: Question, seed: int, *, settled: bool = False) -> bool:
    """Whether the reference differs from itself when random numbers do."""
    few = question.reference.workload.batch
    first, second = (_answer(registry, question, few, seed, settled=settled, draw=draw) for draw in (1, 2))
    bound = BOUNDS[question.reference.variant.dtype]
    return first is not None and second is not None and _error(first, second) > bound


def _error(results: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest of the relative errors; one that is no number counts as that."""
    errors = [relative_error(*pair) for pair in zip(results, expected, strict=True)]
    return float("nan") if any(map(math.isnan, errors)) else max(errors)


def relative_error(result: Tensor, expected: Tensor) -> float:
    """The norm of the difference over the norm of what was expected; 0 where there is no difference."""
    difference = (_in_float64(result) - _in_float64(expected)).norm()
    return float(difference / expected.norm()) if difference else 0.0


def _in_float64(x: Tensor) -> Tensor:
    """On the host, for not every device has float64."""
    return x.cpu().to(torch.complex128 if x.is_complex() else torch.float64)


def _tokens(case: Case, seed: int) -> tuple[Tensor, Tensor]:
    """Tokens that no timing uses, and a gradient of the output."""
    generator = torch.Generator().manual_seed(seed + 1)
    batch = torch.randn(case.workload.shape, generator=generator)
    return batch, torch.randn(case.workload.output_shape, generator=generator)


def _results(
    registry: Registry,
    case: Case,
    batch: Tensor,
    gradient: Tensor,
    seed: int,
    images: int = IMAGES,
    *,
    settled: bool = False,
    draw: int = 0,
) -> list[Tensor]:
    """What is compared: the output's first images, the input's gradient of these, that of all parameters.

    A `settled` layer is in eval mode, in training too; random numbers are other ones in each `draw`.
    """
    layer = build(registry, case, seed)
    if settled:
        layer.eval()
    if draw:
        seed_torch(seed + draw)
    few, dtype = case.workload.batch, dtype_of(case.variant)
    training = case.workload.mode is Mode.training
    batch = batch[:few].to(case.device, dtype, copy=True)
    step = make_step(layer, case, gradient[:few].to(case.device, dtype, copy=True) if training else None)
    with running(case.variant):
        out, input_gradient = _replayed(step, batch) if case.variant.cuda_graph else step(batch)
    check_results(out, layer, case)
    results = [out[:images].detach()]
    if input_gradient is not None:
        learnt = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in layer.parameters()]
        results += [input_gradient[:images], *([torch.cat(learnt)] if learnt else [])]
    return results


def _replayed(step: Callable[[Tensor], Results], batch: Tensor) -> Results:
    """The results of a graph that was captured on other tokens, which must not be part of it."""
    static = batch.flip(0, 1).contiguous()
    replay = graphed(step, [static])
    replay()
    static.copy_(batch)
    return replay()
