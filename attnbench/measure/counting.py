"""What each case needs and costs: memory on fake tensors, multiply-adds on one image; nothing is measured."""

import math
from dataclasses import replace
from functools import partial

from attnbench.attention import form_of, use_kernel
from attnbench.cases.case import Case, Mode, Role
from attnbench.cases.registry import Registry
from attnbench.errors import AttnbenchError
from attnbench.machine.devices import device_of
from attnbench.measure.ceiling import ceiling
from attnbench.measure.cost import Count, count, count_on_meta
from attnbench.measure.execution import dtype_of, require_runnable
from attnbench.measure.journal_writer import JournalWriter, failure_as_fact
from attnbench.measure.layers import build
from attnbench.measure.prediction import predicted_peak_bytes
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Began, Counted, Failed, Predicted, Started, Uncounted
from attnbench.records.record import Cost, Prediction

LEAST_MOVES = {Mode.inference: 1, Mode.training: 2}  # training moves a gradient with each number


class TooLarge(Exception):  # noqa: N818
    """One image of a layer needs more memory than there is."""


def count_cases(state: BlockState, registry: Registry, writer: JournalWriter) -> None:
    """Write what each case needs and costs, or why it cannot be built."""
    writer.write(Began(0))
    costs: dict[str, Count] = {}
    for index in state.uncounted:
        case = state.job.cases[index]
        with failure_as_fact(index, writer):
            require_runnable(case.variant, case.device)
            if case.role is Role.ceiling:
                limit = ceiling(case.mechanism, case.device, dtype_of(case.variant), state.job.threads)
                writer.write(Counted(index, Cost(0, limit.macs, {}, (), limit.least_bytes), limit.macs))
            elif not count_case(state, registry, writer, index, costs):
                return


def count_case(
    state: BlockState, registry: Registry, writer: JournalWriter, index: int, costs: dict[str, Count]
) -> bool:
    """Predict the memory of one case, and count its cost; `costs` has those of this process, and gets more.

    A layer that was run on fake or meta tensors may have kept some of them, and fail for that. So a count
    that fails then is left to the next process, which finds the prediction made: False.
    """
    case, predicted = state.job.cases[index], index in state.predicted
    if not predicted:
        writer.write(Started(index, "the prediction of its memory"))
        need = _predict(state, registry, index)
        writer.write(need)
        if not need.prediction.fits:
            writer.write(Failed(index, "out_of_memory", _shortage(need.prediction)))
    writer.write(Started(index, "its count"))
    form = form_of(case.variant.kernel)  # a back-end may refuse the tensors that are counted on
    name = f"{case.label} {case.workload.geometry} {form}"
    try:
        if name not in costs:
            with use_kernel(form):
                costs[name] = _cost(state, registry, case, on_meta=not predicted)
        result = _counted(registry, index, case, costs[name])
    except AttnbenchError:
        raise
    except TooLarge as error:
        writer.write(Uncounted(index, str(error), _closed_form(registry, case)))
    except Exception as error:
        if not predicted:
            return False
        writer.write(Uncounted(index, f"{type(error).__name__}: {error}", _closed_form(registry, case)))
    else:
        writer.write(result)
    return True


def _predict(state: BlockState, registry: Registry, index: int) -> Predicted:
    case = state.job.cases[index]
    need = _predicted_bytes(state, registry, case, case.workload.batch, case.workload.mode, case.device)
    return Predicted(index, Prediction(need, _available_bytes(state, case.device)))


def _cost(state: BlockState, registry: Registry, case: Case, *, on_meta: bool) -> Count:
    make = partial(build, registry, case, state.job.protocol.seed)
    cost = count_on_meta(make, case.workload.geometry) if on_meta else None
    if cost:
        return cost
    one_image = _predicted_bytes(state, registry, case, 1, Mode.inference, "cpu")
    if one_image is not None and one_image > _available_bytes(state, "cpu"):
        raise TooLarge(f"one image needs {_gib(one_image)} GiB")
    return count(make(), case.workload.geometry)


def _counted(registry: Registry, index: int, case: Case, cost: Count) -> Counted:
    """A cost beside its closed form, with the bytes of weights, input and output, each moved once."""
    numbers = cost.numbers + 2 * math.prod(case.workload.shape)
    least_bytes = LEAST_MOVES[case.workload.mode] * numbers * dtype_of(case.variant).itemsize
    return Counted(
        index,
        Cost(cost.params, cost.macs, cost.by_operator, cost.uncounted, least_bytes),
        _closed_form(registry, case),
    )


def _closed_form(registry: Registry, case: Case) -> int:
    return registry[case.mechanism].macs(case.workload.geometry, **case.settings)


def _predicted_bytes(
    state: BlockState, registry: Registry, case: Case, batch: int, mode: Mode, device: str
) -> int | None:
    make = partial(build, registry, case, state.job.protocol.seed)
    with use_kernel(case.variant.kernel):
        return predicted_peak_bytes(
            make, replace(case.workload, batch=batch).shape, dtype_of(case.variant), mode, device
        )


def _shortage(need: Prediction) -> str:
    there = _gib(need.available_bytes)
    return f"it needs {_gib(need.predicted_bytes or 0)} GiB by prediction, and {there} GiB are available"


def _gib(number: float) -> str:
    return f"{number / 2**30:,.1f}"


def _available_bytes(state: BlockState, device: str) -> int:
    """What a case may allocate on `device`: what is free, or the limit of the job if less."""
    free = device_of(device).free_bytes()
    limit = state.job.memory_limit_bytes
    return free if limit is None else min(free, limit)
