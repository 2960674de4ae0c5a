"""The records of a block: what its facts say, a row a case, and which keys these have."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from attnbench.cases.case import Block, Case
from attnbench.cases.protocol import Protocol
from attnbench.machine import system
from attnbench.machine.fingerprint import inspect_machine
from attnbench.records import journal, lines, record
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Environment, Failed
from attnbench.records.record import Conditions, Record
from attnbench.run.plan import Setup, job_of
from attnbench.run.process import variables

NOT_YET = "not measured yet"


def records_of(state: BlockState, *, complete: bool) -> Iterator[Record]:
    """The rows of a block; those of an unfinished one only where something is known already."""
    job = state.job
    keys = keys_of(job.cases, job.threads, job.protocol, state.environment)
    block = key_of_block(keys, job.node)
    for index, key in enumerate(keys):
        if complete or index in state.failed.keys() | state.memories.keys() | state.samples.keys():
            yield _record(state, index, key, block, complete=complete)


def rows_to_be(block: Block, setup: Setup) -> list[Record]:
    """The rows that a block will have on this machine, as far as they are known before anything is measured.

    Not complete, with nothing but what decides them; imports torch.
    """
    here = inspect_machine()
    workers = os.environ | variables(block.threads, setup.protocol.allocator, Path())
    machine = replace(here, environment=system.environment(workers))
    state = BlockState([job_of("measure", block, setup), Environment(machine, {}, macs_per_s=1.0)])
    keys = keys_of(block.cases, block.threads, setup.protocol, state.environment)
    together = key_of_block(keys, setup.node)
    return [
        replace(_record(state, index, key, together, complete=False), outcome="crashed", reason=NOT_YET)
        for index, key in enumerate(keys)
    ]


def give_up(shard: Path, outcome: str, reason: str) -> list[Record]:
    """The rows of a block that nobody can finish: what has not failed by itself has this outcome."""
    lines.mend(shard)
    facts = journal.read(shard)
    failures = [Failed(index, outcome, reason) for index in BlockState(facts).alive]
    return list(records_of(BlockState([*facts, *failures]), complete=True))


def keys_of(cases: Sequence[Case], threads: int, protocol: Protocol, environment: Environment) -> list[str]:
    """What tells each case of a block from all others that were ever measured."""
    return [record.key(case, protocol, threads, environment.machine) for case in cases]


def key_of_block(keys: Iterable[str], node: str) -> str:
    """The key of a block, from those of its cases; what another node has begun is another block."""
    return hashlib.sha256(" ".join([*keys, *filter(None, [node])]).encode()).hexdigest()[:12]


def _record(state: BlockState, index: int, key: str, block: str, *, complete: bool) -> Record:
    job, case = state.job, state.job.cases[index]
    counted, not_counted = state.counted.get(index), state.not_counted.get(index)
    failed, predicted = state.failed.get(index), state.predicted.get(index)
    checked, expected = state.checked.get(index), state.expected.get(index)
    referenced = state.referenced.get(index)
    priced = counted or not_counted
    return Record(
        key=key,
        block=block,
        case=case,
        outcome=failed.outcome if failed else "measured",
        reason=failed.reason if failed else f"not counted: {not_counted.reason}" if not_counted else None,
        complete=complete,
        cost=priced.cost if priced else None,
        macs_closed_form=priced.macs_closed_form if priced else None,
        prediction=predicted.prediction if predicted else None,
        memory=state.memories.get(index),
        check=checked.check if checked else None,
        samples=state.samples.get(index, ()),
        warmups=state.warmups.get(index, ()),
        witnesses=state.witnesses,
        conditions=Conditions(
            job.threads,
            job.protocol,
            state.environment.flags,
            job.started_at,
            state.environment.machine,
            job.node,
            job.allocation,
        ),
        backends=state.backends.get(index, ()),
        energies=state.energies.get(index, ()),
        unchecked=(expected.reason or None) if expected else None,
        reference="; ".join(each.remark for each in (referenced, checked) if each and each.remark) or None,
        put_right=state.put_right.get(index, ()),
        batch_note=job.batch_note or None,
    )
