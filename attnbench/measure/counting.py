"""What each case needs and costs: memory on fake tensors, multiply-adds on one image; nothing is timed."""

import math
from dataclasses import asdict

import torch

from attnbench.attention import use_kernel
from attnbench.errors import AttnbenchError
from attnbench.measure.ceiling import ceiling
from attnbench.measure.cost import count
from attnbench.measure.facts import Began, Counted, Failed, Predicted, Started, Uncounted
from attnbench.measure.layers import build, dtype_of, shape_of
from attnbench.measure.memory import predicted_peak_bytes
from attnbench.measure.pen import Pen, failure_as_fact
from attnbench.measure.story import Story
from attnbench.registry import Registry
from attnbench.sweep import Case, Role
from attnbench.system import available_memory_bytes


def count_cases(story: Story, registry: Registry, pen: Pen) -> None:
    """Write what each case needs and costs, or why it cannot be built."""
    pen.write(Began(0))
    for index in story.uncounted:
        case = story.job.cases[index]
        with failure_as_fact(index, pen), use_kernel(case.kernel):
            if case.role is Role.ceiling:
                limit = ceiling(case.mechanism, case.device, dtype_of(case), story.job.threads)
                pen.write(Counted(index, 0, limit.macs, limit.macs, {}, (), limit.least_bytes))
            elif not count_case(story, registry, pen, index):
                return


def count_case(story: Story, registry: Registry, pen: Pen, index: int) -> bool:
    """Predict the memory of one case, and count its cost if at least one image fits.

    A layer that was run on fake tensors for its prediction may have kept some of them, and fail for that. So
    a count that fails then is left to the next process, which finds the prediction made: False.
    """
    job, case, predicted = story.job, story.job.cases[index], index in story.predicted_bytes
    if predicted:
        need = story.predicted_bytes[index]
    else:
        pen.write(Started(index, "the prediction of its memory"))
        need = _predicted_bytes(registry, case, case.batch, job.protocol.seed)
        pen.write(Predicted(index, need))
    free = _free_bytes(case.device)
    if need is not None and need > free:
        one_image = _predicted_bytes(registry, case, 1, job.protocol.seed)
        shortage = f"it needs {_gib(need)} GiB by prediction, and {_gib(free)} GiB are free"
        pen.write(Failed(index, "out_of_memory", shortage))
        if one_image is None or one_image > free:
            return True
    pen.write(Started(index, "its count"))
    try:
        counted: Counted | Uncounted = _count(registry, index, case, job.protocol.seed)
    except AttnbenchError:
        raise
    except Exception as error:
        if not predicted:
            return False
        counted = Uncounted(index, f"{type(error).__name__}: {error}")
    pen.write(counted)
    return True


def _count(registry: Registry, index: int, case: Case, seed: int) -> Counted:
    layer = build(registry, case, seed)
    cost = count(layer, case.geometry)
    closed_form = registry[case.mechanism].macs(case.geometry, **case.settings)
    numbers = sum(tensor.numel() for tensor in layer.state_dict().values())
    least_bytes = (numbers + 2 * math.prod(shape_of(case, case.batch))) * dtype_of(case).itemsize
    return Counted(index, macs_closed_form=closed_form, least_bytes=least_bytes, **asdict(cost))


def _predicted_bytes(registry: Registry, case: Case, batch: int, seed: int) -> int | None:
    return predicted_peak_bytes(lambda: build(registry, case, seed), shape_of(case, batch), dtype_of(case))


def _gib(number: float) -> str:
    return f"{number / 2**30:,.1f}"


def _free_bytes(device: str) -> int:
    """What a case may allocate on `device`."""
    return torch.cuda.mem_get_info()[0] if device == "cuda" else available_memory_bytes()
