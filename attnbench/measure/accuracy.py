"""How far a variant's results are from those of the same layer in float64, explicit and eager.

A fast way to run a layer is worth a speed only where it computes the layer.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnbench.cases.case import Case
from attnbench.cases.registry import Registry
from attnbench.cases.variant import Variant
from attnbench.measure.execution import dtype_of, graphed, running
from attnbench.measure.layers import Results, WrongOutput, build, check_results, make_step

EXACT = Variant(dtype="float64")
IMAGES = 4  # of a batch, are compared: the images of a batch do not see each other
BOUNDS = {"float64": 1e-10, "float32": 1e-5, "tf32": 0.05, "float16": 0.05, "bfloat16": 0.15}
"""The largest relative error of each number format.

Over all built-in layers, rounding alone gives at most 1e-6 in float32, 3e-3 in float16 and 3e-2 in bfloat16;
one that chooses, as QuadTree its keys, takes others where two are nearly equal, and comes to 3e-2 and 7e-2.
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Random tokens that no timing uses, with a gradient of the output, and what a layer makes of them.

    The gradient is zero but for the images whose results are compared, so that what parameters learn comes
    from these alone.
    """

    batch: Tensor
    gradient: Tensor
    answer: list[Tensor]


def ask_in_float64(registry: Registry, case: Case, seed: int) -> Question:
    """The case's layer in float64, explicit and eager, on a few of the images."""
    few = min(case.workload.batch, IMAGES)
    generator = torch.Generator().manual_seed(seed + 1)
    batch, gradient = (torch.randn(case.workload.shape, generator=generator) for _ in range(2))
    gradient[few:] = 0
    exact = replace(case, workload=replace(case.workload, batch=few), variant=EXACT)
    try:
        answer = _results(registry, exact, batch[:few], gradient[:few], seed)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise RuntimeError(f"in float64, as the reference, {error}") from error
    return Question(batch, gradient, answer)


def require_agreement(registry: Registry, case: Case, seed: int, question: Question) -> float:
    """The largest relative error of the case's results: of the output and, in training, of the gradients.

    Those are the input's, and all of the parameters' as one. An error beyond the bound of the case's number
    format is a `WrongOutput`.
    """
    results = _results(registry, case, question.batch, question.gradient, seed)
    error = max(map(relative_error, results, question.answer))
    bound = BOUNDS[case.variant.dtype]
    if not error <= bound:
        raise WrongOutput(
            f"its results are {error:.2g} of their size away from those of the same layer in float64; "
            f"{case.variant.dtype} is allowed {bound:g}"
        )
    return error


def relative_error(result: Tensor, expected: Tensor) -> float:
    """The norm of the difference over the norm of what was expected; 0 where there is no difference."""
    difference = (_in_float64(result) - _in_float64(expected)).norm()
    return float(difference / expected.norm()) if difference else 0.0


def _in_float64(x: Tensor) -> Tensor:
    return x.to(torch.complex128 if x.is_complex() else torch.float64)


def _results(registry: Registry, case: Case, batch: Tensor, gradient: Tensor, seed: int) -> list[Tensor]:
    """What is compared: the output's first images, the input's gradient of these, that of all parameters."""
    layer = build(registry, case, seed)
    batch, gradient = (x.to(case.device, dtype_of(case.variant)) for x in (batch, gradient))
    step = make_step(layer, case, gradient)
    with running(case.variant):
        out, input_gradient = _replayed(step, batch) if case.variant.cuda_graph else step(batch)
    check_results(out, layer, case)
    results = [out[:IMAGES].detach()]
    if input_gradient is not None:
        learnt = [p.grad.flatten() for p in layer.parameters() if p.grad is not None]
        results += [input_gradient[:IMAGES], *([torch.cat(learnt)] if learnt else [])]
    return results


def _replayed(step: Callable[[Tensor], Results], batch: Tensor) -> Results:
    """The results of a graph that was captured on other tokens, which must not be part of it."""
    static = batch.flip(0, 1).contiguous()
    replay = graphed(step, [static])
    replay()
    static.copy_(batch)
    return replay()
