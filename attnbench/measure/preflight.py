"""What the first worker of a block finds out: that each member computes its layer, and what a call takes."""

import time
from dataclasses import replace
from functools import partial

import torch

from attnbench.cases.case import Mode
from attnbench.cases.registry import Registry
from attnbench.cases.variant import PLAIN
from attnbench.measure.accuracy import ask_in_float64, require_agreement
from attnbench.measure.execution import backends_of, dtype_of, forget_compiled, ready_compiler
from attnbench.measure.fidelity import expect, renew
from attnbench.measure.journal_writer import JournalWriter, failure_as_fact
from attnbench.measure.layers import build, make_call, make_data_by_dtype
from attnbench.measure.memory import memory_of
from attnbench.measure.strangers import explained
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Allocated, Attended, Began, Checked, Started
from attnbench.records.record import Check


def preflight(state: BlockState, registry: Registry, writer: JournalWriter) -> None:
    """Compare each member with float64, unless it is plain, and measure its memory, one after the other.

    What it gives for new tokens is kept, for the sessions to compare timed layers with.
    """
    writer.write(Began(0))
    job = state.job
    with torch.inference_mode(job.cases[0].workload.mode is Mode.inference):
        if any(case.variant.compiled for case in job.cases):
            writer.write(Started(0, "the start of a compiler"))
            ready_compiler(job.cases[0].device)
        data = make_data_by_dtype(job.cases, job.protocol.seed, most_inputs=1)
        for mine in data.values():
            renew(mine, job.protocol.seed)
        for index in state.without_memory:
            if job.cases[index].variant != PLAIN and index not in state.checked:
                _check(state, registry, writer, index)
        for index in BlockState([*state.facts, *writer.written]).without_memory:
            case = job.cases[index]
            make = partial(build, registry, case, job.protocol.seed)
            with failure_as_fact(index, writer, case.variant), explained(make, case.workload.geometry):
                writer.write(Started(index, "its construction"))
                layer = make()
                mine = data[dtype_of(case.variant)]
                if case.variant.kernel != PLAIN.kernel:
                    writer.write(Started(index, "a look at its kernels"))
                    eager = replace(case, variant=replace(case.variant, cuda_graph=False))
                    writer.write(Attended(index, backends_of(make_call(layer, eager, mine))))
                writer.write(Started(index, "the measurement of its memory"))
                memory = memory_of(layer, case, mine)
                writer.write(Started(index, "a look at its images one by one"))
                writer.write(expect(registry, case, job.protocol.seed, mine, index))
                writer.write(Allocated(index, memory))


def _check(state: BlockState, registry: Registry, writer: JournalWriter, index: int) -> None:
    """Compare a member with its layer in float64, and time the call that compiles or captures it."""
    case, seed = state.job.cases[index], state.job.protocol.seed
    make = partial(build, registry, case, seed)
    with failure_as_fact(index, writer), explained(make, case.workload.geometry):
        writer.write(Started(index, "its reference in float64"))
        question = ask_in_float64(registry, case, seed)
        with failure_as_fact(index, writer, case.variant):
            writer.write(Started(index, "its first call"))
            if case.variant.compiled:
                forget_compiled()
            started = time.perf_counter()
            error = require_agreement(registry, case, seed, question)
            seconds = time.perf_counter() - started
            writer.write(Checked(index, Check(error, seconds if case.variant.is_prepared else None)))
