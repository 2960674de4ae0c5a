"""What each case needs and costs: memory on fake tensors, multiply-adds on one image; nothing is measured."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from attnbench.attention import form_of, use_kernel
from attnbench.cases.case import Case, Mode, Role
from attnbench.cases.models import Mixing, Model
from attnbench.cases.registry import Registry
from attnbench.cases.variant import PLAIN
from attnbench.errors import AttnbenchError
from attnbench.machine.devices import device_of, exact_device
from attnbench.measuring.accuracy import EXACT, IMAGES
from attnbench.measuring.apart import answer_to
from attnbench.measuring.ceiling import work
from attnbench.measuring.cost import Count, Uncountable, count, count_on_meta
from attnbench.measuring.execution import dtype_of, require_runnable
from attnbench.measuring.journal_writer import JournalWriter, ProcessSpent, failure_as_fact
from attnbench.measuring.layers import build
from attnbench.measuring.prediction import MOST_BYTES, TooLarge, gib, predicted_peak_bytes, shortage
from attnbench.measuring.room import beside_bytes
from attnbench.mechanism import Geometry
from attnbench.records.block_state import BlockState
from attnbench.records.journal import (
    Began,
    Counted,
    Failed,
    Predicted,
    Priced,
    Referenced,
    Started,
    Uncounted,
)
from attnbench.records.record import Cost, Prediction

LEAST_MOVES = {Mode.inference: 1, Mode.training: 2}  # training moves a gradient with each number


LEAST_SIDE = 7  # of a map that stands for a larger one in the comparison with float64


def count_cases(state: BlockState, registry: Registry, writer: JournalWriter) -> None:
    """Write what each case needs and costs, or why it cannot be built."""
    writer.write(Began(0))
    costs: dict[str, Count] = {}
    references: dict[str, Referenced | None] = {}
    for index in state.uncounted:
        case = state.job.cases[index]
        with failure_as_fact(index, writer):
            require_runnable(case.variant, case.device)
            if case.role is Role.ceiling:
                macs, moved = work(case.mechanism, case.device, dtype_of(case.variant), state.job.threads)
                writer.write(Counted(index, Cost(0, macs, {}, (), moved), macs))
            elif not count_case(state, registry, writer, index, costs, references):
                raise ProcessSpent


def price_cases(state: BlockState, registry: Registry, writer: JournalWriter) -> None:
    """Write what each case needs and costs on any machine; what fails here, its own count tries again."""
    writer.write(Began(0))
    costs: dict[str, Count] = {}
    for index in state.unpriced:
        case = state.job.cases[index]
        with failure_as_fact(index, writer):
            writer.write(Started(index, "the prediction of its memory"))
            workload = case.workload
            need = predicted_bytes(state, registry, case, workload.batch, workload.mode, case.device)
            writer.write(Started(index, "its count"))
            once = _cost_once(state, registry, index, costs, on_meta=True, whole_batch=need)
            known = _counted(registry, index, case, once)
            writer.write(Priced(index, need, known.cost, known.macs_closed_form))


def count_case(
    state: BlockState,
    registry: Registry,
    writer: JournalWriter,
    index: int,
    costs: dict[str, Count],
    references: dict[str, Referenced | None],
) -> bool:
    """Predict the memory of one case, and count its cost.

    `costs` and `references` have what this process knows already, and get more.

    A layer that was run on fake or meta tensors may have kept some of them, and fail for that. So a count
    that fails then is left to the next process, which finds the prediction made: False.
    """
    case, need = state.job.cases[index], state.predicted.get(index)
    predicted = need is not None
    if need is None:
        writer.write(Started(index, "the prediction of its memory"))
        need = _predict(state, registry, index)
        if need.prediction.fits and case.variant != PLAIN:
            same = f"{case.label} {case.workload} {case.device}"
            if same not in references:
                references[same] = _reference(state, registry, index)
            if less := references[same]:
                writer.write(replace(less, case=index))
        writer.write(need)
        if not need.prediction.fits:
            least = need.prediction.predicted_bytes or 0
            reason = shortage("it", least, need.prediction.available_bytes)
            writer.write(Failed(index, "out_of_memory", reason))
    if priced := state.priced.get(index):
        writer.write(Counted(index, priced.cost, priced.macs_closed_form))
        return True
    writer.write(Started(index, "its count"))
    try:
        once = _cost_once(
            state,
            registry,
            index,
            costs,
            on_meta=not predicted,
            whole_batch=need.prediction.predicted_bytes,
        )
        result = _counted(registry, index, case, once)
    except AttnbenchError:
        raise
    except TooLarge as error:
        writer.write(Uncounted(index, str(error), _closed_form(registry, case)))
    except Uncountable as known:
        if not predicted:
            return False
        cost = Cost(known.params, None, {}, (), _least_bytes(case, known.numbers))
        writer.write(Uncounted(index, str(known), _closed_form(registry, case), cost))
    except Exception as error:
        if not predicted:
            return False
        writer.write(Uncounted(index, f"{type(error).__name__}: {error}", _closed_form(registry, case)))
    else:
        writer.write(result)
    return True


def _predict(state: BlockState, registry: Registry, index: int) -> Predicted:
    case = state.job.cases[index]
    priced = state.priced.get(index)
    need = priced.predicted_bytes if priced else None
    if need is None:
        need = predicted_bytes(state, registry, case, case.workload.batch, case.workload.mode, case.device)
    there = _available_bytes(state, case.device, beside_bytes(case, state.job.cases, state.job.threads))
    tokens = 2 * math.prod(case.workload.shape) * dtype_of(case.variant).itemsize  # given, and returned
    least = min(tokens, MOST_BYTES) if tokens > there else None
    return Predicted(index, Prediction(least if need is None else need, there))


def _reference(state: BlockState, registry: Registry, index: int) -> Referenced | None:
    """With what a case is compared in float64 where a few of its images, or one, do not fit: with less.

    None where they do, and where nobody can tell.
    """
    case = state.job.cases[index]
    device = exact_device(case.device)
    there = _available_bytes(state, device)
    few = min(case.workload.batch, IMAGES)
    reason = ""
    for geometry in _maps(case.workload.geometry):
        exact = replace(
            case, workload=replace(case.workload, geometry=geometry), variant=EXACT, device=device
        )
        for images in dict.fromkeys((few, math.ceil(few / 2), 1)):
            need = predicted_bytes(state, registry, exact, images, case.workload.mode, device)
            if need is None:
                break
            if need <= there:
                usual = not reason and images == few
                return None if usual else Referenced(index, images, geometry.height, geometry.width, reason)
        if not reason:
            if need is None:
                return None
            reason = f"one image needs {gib(need)} GiB as its reference, and {gib(there)} GiB are available"
    return Referenced(index, 0, case.workload.geometry.height, case.workload.geometry.width, reason)


def _maps(geometry: Geometry) -> Iterator[Geometry]:
    """The map, and smaller ones for the same layer."""
    yield geometry
    while min(geometry.height, geometry.width) >= 2 * LEAST_SIDE:
        geometry = replace(geometry, height=geometry.height // 2, width=geometry.width // 2)
        yield geometry


def _cost_once(
    state: BlockState,
    registry: Registry,
    index: int,
    costs: dict[str, Count],
    *,
    on_meta: bool,
    whole_batch: int | None,
) -> Count:
    """The count of a case, from `costs` where another one of the same layer was counted."""
    case = state.job.cases[index]
    form = form_of(case.variant.kernel)  # a back-end may refuse the tensors that are counted on
    name = f"{case.label} {case.workload.geometry} {form}"
    if name not in costs:
        with use_kernel(form):
            costs[name] = _cost(state, registry, index, on_meta=on_meta, whole_batch=whole_batch)
    return costs[name]


def _cost(
    state: BlockState, registry: Registry, index: int, *, on_meta: bool, whole_batch: int | None = None
) -> Count:
    """The count of a case, without memory if it can be, or on an image that fits.

    Nothing more is predicted where the bytes of a `whole_batch` fit: it takes time, and a layer may keep what
    it was predicted on.
    """
    case = state.job.cases[index]
    make = partial(build, registry, case, state.job.protocol.seed)
    operators = registry[case.mechanism].operators
    cost = answer_to(partial(count_on_meta, make, case.workload.geometry, operators)) if on_meta else None
    if cost:
        return cost
    there = _available_bytes(state, "cpu")
    if whole_batch is not None and whole_batch <= there:
        return count(make(), case.workload.geometry, operators)
    one_image = predicted_bytes(state, registry, case, 1, Mode.inference, "cpu")
    if one_image is not None and one_image > there:
        cost = answer_to(partial(count_on_meta, make, case.workload.geometry, operators, must_trace=False))
        if cost is None:
            raise TooLarge(f"one image needs {gib(one_image)} GiB")
        return cost
    return count(make(), case.workload.geometry, operators)


def _counted(registry: Registry, index: int, case: Case, cost: Count) -> Counted:
    """A cost beside its closed form, with the bytes of weights, input and output, each moved once."""
    least_bytes = _least_bytes(case, cost.numbers)
    return Counted(
        index,
        Cost(
            cost.params,
            cost.macs,
            cost.by_operator,
            cost.uncounted,
            least_bytes,
            cost.macs_of_another,
            _mixing(registry, case),
        ),
        _closed_form(registry, case),
    )


def _mixing(registry: Registry, case: Case) -> tuple[Mixing, ...]:
    """The layers in a model's slots; nothing of what is no model with slots."""
    mechanism = registry[case.mechanism]
    if not isinstance(mechanism, Model):
        return ()
    return mechanism.mixing(case.workload.geometry, case.settings)


def _least_bytes(case: Case, numbers: int) -> int:
    """Those of so many numbers of a layer's state, of the input and the output, each moved once."""
    workload, variant = case.workload, case.variant
    read = (numbers + math.prod(workload.shape)) * variant.bytes_each
    written = math.prod(workload.output_shape) * variant.bytes_each_out
    return LEAST_MOVES[workload.mode] * (read + written)


def macs_of(state: BlockState, registry: Registry, index: int) -> int | None:
    """Multiply-adds of one image's forward pass, by the closed form or counted; None where neither tells."""
    closed = _closed_form(registry, state.job.cases[index])
    if closed is not None:
        return closed
    try:
        return _cost(state, registry, index, on_meta=True).macs
    except (TooLarge, Uncountable):
        return None


def _closed_form(registry: Registry, case: Case) -> int | None:
    return registry[case.mechanism].closed_form(case.workload.geometry, **case.settings)


def predicted_bytes(
    state: BlockState, registry: Registry, case: Case, batch: int, mode: Mode, device: str
) -> int | None:
    """What a call of so many images is expected to need at once; None where nobody can tell."""
    make = partial(build, registry, case, state.job.protocol.seed)
    asked, variant = replace(case.workload, batch=batch), case.variant
    ask = partial(
        predicted_peak_bytes,
        make,
        asked.shape,
        dtype_of(variant),
        mode,
        device,
        asked.output_shape,
        variant.autocast,
    )
    with use_kernel(variant.kernel):
        return answer_to(ask)


def _available_bytes(state: BlockState, device: str, beside: int = 0) -> int:
    """What a case may allocate on `device`: what is free, or the limit of the job if less.

    So many bytes of what is free now will lie `beside` it.
    """
    free = max(0, device_of(device).free_bytes() - beside)
    limit = state.job.memory_limit_bytes
    return free if limit is None else min(free, limit)
