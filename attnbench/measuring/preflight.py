"""What one worker of a block finds out: that each member computes its layer, and what a call takes."""

import time
from dataclasses import replace
from functools import partial

import torch

from attnbench.cases.case import Case, Mode
from attnbench.cases.registry import Registry
from attnbench.cases.variant import PLAIN
from attnbench.measuring.accuracy import (
    IMAGES,
    Agreement,
    Question,
    ReferenceTooLarge,
    ask_in_float64,
    call_once,
    require_agreement,
)
from attnbench.measuring.execution import backends_of, dtype_of, forget_compiled, ready_compiler
from attnbench.measuring.fidelity import expect, renew, require_fidelity
from attnbench.measuring.journal_writer import JournalWriter, failure_as_fact, write_changes
from attnbench.measuring.layers import build, make_call, make_data_by_dtype, untouched
from attnbench.measuring.memory import memory_of
from attnbench.measuring.strangers import explained
from attnbench.measuring.surroundings import Surroundings
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Allocated, Attended, Began, Checked, Referenced, Started
from attnbench.records.profile import FUSED
from attnbench.records.record import Check


def preflight(state: BlockState, registry: Registry, writer: JournalWriter) -> None:
    """Compare each member with float64, unless it is plain, and measure its memory, one after the other.

    What it gives for new tokens is kept, for the sessions to compare timed layers with; what those of an
    earlier session gave is compared with it now.
    """
    writer.write(Began(0))
    job = state.job
    with torch.inference_mode(job.cases[0].workload.mode is Mode.inference):
        if any(case.variant.compiled for case in job.cases):
            writer.write(Started(0, "the start of a compiler"))
            ready_compiler(job.cases[0].device)
        surroundings = Surroundings()
        for index in state.without_memory:
            if job.cases[index].variant != PLAIN and index not in state.checked:
                _check(state, registry, writer, index)
                surroundings.put_right()
        data = make_data_by_dtype(job.cases, job.protocol.seed, most_inputs=1)
        for mine in data.values():
            renew(mine, job.protocol.seed)
        for index in BlockState([*state.facts, *writer.written]).without_memory:
            case = job.cases[index]
            make = partial(build, registry, case, job.protocol.seed)
            with failure_as_fact(index, writer, case.variant), explained(make, case.workload.geometry):
                writer.write(Started(index, "its construction"))
                changes: list[str] = []
                layer = make(changes=changes)
                write_changes(writer, index, changes)
                mine = data[dtype_of(case.variant)]
                if case.variant.kernel != PLAIN.kernel or _asks_for_fused_attention(state, index):
                    writer.write(Started(index, "a look at its kernels", case.variant.patience))
                    eager = replace(case, variant=replace(case.variant, cuda_graph=False))
                    with untouched(mine):
                        backends = backends_of(make_call(layer, eager, mine))
                    writer.write(Attended(index, backends))
                writer.write(Started(index, "the measurement of its memory", case.variant.patience))
                memory = memory_of(layer, case, mine, _predicted_bytes(state, index))
                writer.write(Started(index, "a look at its images one by one"))
                expected = expect(registry, case, job.protocol.seed, mine, index)
                writer.write(expected)
                for returned in state.returned.get(index, ()):
                    require_fidelity(returned, expected, case.variant)
                write_changes(writer, index, surroundings.require_as_before())
                writer.write(Allocated(index, memory))
            surroundings.put_right()  # what one left that failed


def _predicted_bytes(state: BlockState, index: int) -> int | None:
    known = state.predicted.get(index)
    return known.prediction.predicted_bytes if known else None


def _asks_for_fused_attention(state: BlockState, index: int) -> bool:
    """Whether a layer's own code does, under the explicit kernel, by which it was counted; or may."""
    counted = state.counted.get(index)
    return counted is None or any(FUSED in name for name in counted.cost.macs_by_operator)


def _check(state: BlockState, registry: Registry, writer: JournalWriter, index: int) -> None:
    """Compare a member with its layer in float64, and time the call that compiles or captures it.

    Where its own map is too large for float64 a smaller one is compared, and where nothing fits none is: the
    member is called all the same.
    """
    case, seed = state.job.cases[index], state.job.protocol.seed
    reference = state.referenced.get(index) or _usual(index, case)
    compared = _on_map(case, reference)
    make = partial(build, registry, case, seed)
    with failure_as_fact(index, writer), explained(make, case.workload.geometry):
        writer.write(Started(index, "its reference in float64"))
        question: Question | None = None
        if reference.images:
            try:
                question = ask_in_float64(registry, compared, seed, reference.images)
            except ReferenceTooLarge as shortage:
                writer.write(replace(reference, images=0, reason=str(shortage)))
        with failure_as_fact(index, writer, case.variant):
            writer.write(Started(index, "its first call", case.variant.patience))
            agreement: Agreement | None = None
            if question and compared != case:
                agreement = require_agreement(registry, compared, seed, question)
            if case.variant.compiled:
                forget_compiled()
            if question and compared == case:
                agreement = require_agreement(registry, case, seed, question)
                first_s = agreement.first_s
            else:
                started = time.perf_counter()
                call_once(registry, case, seed)
                first_s = time.perf_counter() - started
            check = Check(
                agreement.error if agreement else None, first_s if case.variant.is_prepared else None
            )
            writer.write(Checked(index, check, agreement.remark if agreement else ""))


def _usual(index: int, case: Case) -> Referenced:
    """A few images on the case's own map."""
    return Referenced(index, IMAGES, case.workload.geometry.height, case.workload.geometry.width, "")


def _on_map(case: Case, reference: Referenced) -> Case:
    """The case with a map of the size that it is compared on."""
    geometry = replace(case.workload.geometry, height=reference.height, width=reference.width)
    return replace(case, workload=replace(case.workload, geometry=geometry))
