"""From a sweep to records: spawns workers, reads their shards, writes what they found. Does no torch work.

A block's facts gather in its shard until it is finished, and become records then. Whatever ends this process
or a worker, the shard says what is left to do.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

from attnbench.cases.case import Block, Case, Role
from attnbench.cases.protocol import Protocol
from attnbench.cases.sweep import ceilings
from attnbench.errors import AttnbenchError, InvalidSetting
from attnbench.machine import system
from attnbench.machine.fingerprint import inspect_machine
from attnbench.machine.system import logical_cores
from attnbench.mechanism import Geometry
from attnbench.records import journal, lines, record, record_file
from attnbench.records.block_state import BlockState
from attnbench.records.folder import complete_records, shard_of, shards, temporary
from attnbench.records.heads import CompleteKeys
from attnbench.records.journal import (
    DISK_FAILED,
    PROCESS_SPENT,
    UNWRITABLE,
    Began,
    Environment,
    Fact,
    Failed,
    Job,
    Started,
    Task,
    Worker,
)
from attnbench.records.record import Conditions, Record
from attnbench.run.plan import Planned, Setup
from attnbench.run.process import WorkerEnded, facts_of_worker, variables

MOST_COMPILERS = 32  # processes; torch takes no more by itself
NOT_YET = "not measured yet"
MOST_KILLS = 3  # of workers from outside, before a run gives up

Watch = Callable[[int, Fact], None]


def survey(blocks: Sequence[Block], setup: Setup) -> list[Planned]:
    """Count every case in a worker of its own, and put the blocks in order, the cheapest first.

    A setting without a meaning is an `InvalidSetting`.
    """
    counts = dict.fromkeys(block.threads for block in blocks)
    plan = [
        planned
        for threads in counts
        for planned in _surveyed([block for block in blocks if block.threads == threads], threads, setup)
    ]
    return sorted(plan, key=lambda planned: planned.work)


def _surveyed(blocks: Sequence[Block], threads: int, setup: Setup) -> list[Planned]:
    """Blocks of so many threads with what is known of their cases."""
    cases = tuple(case for block in blocks for case in _without_twin(block))
    state = answered("count", Block(cases, threads), setup, lambda state: state.uncounted)
    known = state.known
    found = iter([(case.row, known.get(index, ())) for index, case in enumerate(cases)])
    return [
        Planned(block, state.environment, dict(islice(found, len(_without_twin(block))))) for block in blocks
    ]


def answered(task: Task, block: Block, setup: Setup, left: Callable[[BlockState], object]) -> BlockState:
    """What workers find out of cases without timing them; a mistake of the user is an `InvalidSetting`."""
    with temporary() as folder:
        shard = folder / f"{task}.jsonl"
        journal.save(shard, [_job(task, block, setup)])
        _work_off(shard, setup, left, lambda _: None)
        state = BlockState(journal.read(shard))
    for failure in state.failed.values():
        if failure.outcome == "mistake":
            raise InvalidSetting(failure.reason)
    return state


def pending(plan: Sequence[Planned], setup: Setup, folder: Path) -> list[Planned]:
    """What is left of a plan in the run in `folder`: blocks, with those of their members that have no row.

    A shard that nothing is left to do for becomes records; one of another plan becomes records that are not
    complete.
    """
    there = CompleteKeys(folder)
    for shard in shards(folder):
        lines.mend(shard)
        if not BlockState(journal.read(shard)).unfinished:
            _settle(shard, there, complete=True)
    done = complete_records(folder)
    left = [_left_of(planned, setup, done) for planned in plan]
    wanted = {_shard(planned, setup, folder) for planned in left}
    for shard in shards(folder):
        if shard not in wanted:
            _settle(shard, there, complete=False)
    return [planned for planned in left if planned.block.members]


def measure(plan: Sequence[Planned], setup: Setup, folder: Path, watch: Watch) -> bool:
    """Time the blocks one after the other and append their records to the run in `folder`.

    `watch` is told each fact with its block's index as it arrives, those of an earlier run first. Returns
    False when the user interrupted; what was measured until then is recorded, and can be gone on with.
    """
    there = CompleteKeys(folder)
    return all(
        _measure_block(planned, setup, there, partial(watch, index)) for index, planned in enumerate(plan)
    )


def measure_ceilings(geometry: Geometry, device: str, dtype: str, threads: int, setup: Setup) -> list[Record]:
    """What this machine can do at best, measured now: a record for the matmul and one for the copy."""
    block = Block(ceilings(geometry, device, dtype), threads)
    with temporary() as folder:
        shard = folder / "ceilings.jsonl"
        (planned,) = survey([block], setup)
        journal.save(shard, [_job("measure", block, setup), planned.environment, *planned.facts()])
        _work_off(shard, setup, lambda state: state.unfinished, lambda _: None)
        return list(records_of(BlockState(journal.read(shard)), complete=True))


def records_of(state: BlockState, *, complete: bool) -> Iterator[Record]:
    """The rows of a block; those of an unfinished one only where something is known already."""
    job = state.job
    keys = _keys(job.cases, job.threads, job.protocol, state.environment)
    block = _together(keys, job.node)
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
    state = BlockState([_job("measure", block, setup), Environment(machine, {}, macs_per_s=1.0)])
    keys = _keys(block.cases, block.threads, setup.protocol, state.environment)
    together = _together(keys, setup.node)
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


def _measure_block(
    planned: Planned, setup: Setup, there: CompleteKeys, watch: Callable[[Fact], None]
) -> bool:
    shard = _shard(planned, setup, there.folder)
    if not shard.exists():
        new = shard.with_suffix(".new")
        new.unlink(missing_ok=True)
        journal.save(new, [_job("measure", planned.block, setup), planned.environment, *planned.facts()])
        new.rename(shard)
    for fact in journal.read(shard):
        watch(fact)
    try:
        _work_off(shard, setup, lambda state: state.unfinished, watch)
    except KeyboardInterrupt:
        lines.mend(shard)
        record_file.append(there.folder, records_of(BlockState(journal.read(shard)), complete=False))
        return False
    _settle(shard, there, complete=True)
    return True


def _settle(shard: Path, there: CompleteKeys, *, complete: bool) -> None:
    """Turn a shard into those records that are not there yet."""
    there.read_on()
    rows = records_of(BlockState(journal.read(shard)), complete=complete)
    record_file.append(there.folder, (row for row in rows if (row.block, row.key) not in there))
    shard.unlink()


def _results(facts: Iterable[Fact]) -> int:
    """How many facts there are beside those that say what is about to be done."""
    return sum(not isinstance(fact, Began | Started) for fact in facts)


def _work_off(
    shard: Path, setup: Setup, left: Callable[[BlockState], object], watch: Callable[[Fact], None]
) -> None:
    """Run workers on a shard until nothing is left of its job; a case that ends its worker has failed."""
    with temporary() as compiled:
        _work_off_in(compiled, setup.worker or facts_of_worker, shard, left, watch)


def _work_off_in(
    compiled: Path,
    worker: Worker,
    shard: Path,
    left: Callable[[BlockState], object],
    watch: Callable[[Fact], None],
) -> None:
    """The same with a folder for what workers compile: a first one cold, and later ones from there."""
    suspects: list[int | None] = []
    while left(state := BlockState(journal.read(shard))):
        protocol = state.job.protocol
        timing = not state.without_memory  # nothing is timed before memory is known
        compilers = 1 if timing else min(MOST_COMPILERS, logical_cores())
        environment = variables(state.job.threads, protocol.allocator, compiled, compilers)
        try:
            with closing(worker(shard, environment, protocol.timeout_s)) as news:
                for fact in news:
                    watch(fact)
        except WorkerEnded as end:
            lines.mend(shard)
            case = end.at_work.case if end.at_work else None
            if end.returncode == DISK_FAILED and UNWRITABLE in f"{end}":
                raise AttnbenchError(
                    f"{shard.parent} cannot be written: {end}. What is measured is kept: make room, and run "
                    "the same command again."
                ) from end
            if end.returncode == PROCESS_SPENT and _results(journal.read(shard)) > _results(state.facts):
                continue  # something is known, and the rest needs a fresh process
            if end.from_outside and case not in suspects and len(suspects) < MOST_KILLS:
                suspects.append(case)
            elif end.at_work:
                reason = f"{end}" if end.outcome == "timed_out" else f"during {end.at_work.step}, {end}"
                failure = Failed(end.at_work.case, end.outcome, reason)
                journal.save(shard, [failure])
                watch(failure)
            else:
                raise AttnbenchError(f"A worker could not begin: {end}.") from end


def _without_twin(block: Block) -> list[Case]:
    return [case for case in block.cases if case.role is not Role.twin]


def _left_of(planned: Planned, setup: Setup, done: Mapping[str, Record]) -> Planned:
    """The block with the members that have no row yet, or were refused for memory that there is now."""
    members = planned.block.members
    keys = _keys(members, planned.block.threads, setup.protocol, planned.environment)
    left = [
        case
        for case, key in zip(members, keys, strict=True)
        if key not in done or (done[key].refused and case.row in planned.fitting)
    ]
    return replace(planned, block=planned.block.of(left))


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


def _shard(planned: Planned, setup: Setup, folder: Path) -> Path:
    block = planned.block
    keys = _keys(block.cases, block.threads, setup.protocol, planned.environment)
    return shard_of(folder, _together(keys, setup.node))


def _keys(cases: Sequence[Case], threads: int, protocol: Protocol, environment: Environment) -> list[str]:
    return [record.key(case, protocol, threads, environment.machine) for case in cases]


def _together(keys: Iterable[str], node: str) -> str:
    """The key of a block, from those of its cases; what another node has begun is another block."""
    return hashlib.sha256(" ".join([*keys, *filter(None, [node])]).encode()).hexdigest()[:12]


def _job(task: Task, block: Block, setup: Setup) -> Job:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Job(
        task,
        block.cases,
        setup.plugins,
        block.threads,
        setup.protocol,
        now,
        setup.memory_limit_bytes,
        block.batch_note,
        setup.node,
        setup.allocation,
    )
