"""From a sweep to records: spawns workers, reads their shards, writes what they found. Does no torch work.

A block's facts gather in its shard until it is finished, and become records then. Whatever ends this process
or a worker, the shard says what is left to do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from attnbench.cases.case import Block, Case, Role
from attnbench.cases.sweep import ceilings
from attnbench.errors import AttnbenchError, InvalidSetting
from attnbench.machine.system import logical_cores
from attnbench.mechanism import Geometry
from attnbench.records import journal, lines, record_file
from attnbench.records.block_state import BlockState
from attnbench.records.folder import complete_records, shard_of, shards, temporary
from attnbench.records.heads import CompleteKeys
from attnbench.records.journal import (
    DISK_FAILED,
    PROCESS_SPENT,
    UNWRITABLE,
    Began,
    Fact,
    Failed,
    Priced,
    Started,
    Task,
    Worker,
)
from attnbench.records.record import Record
from attnbench.run.block_records import key_of_block, keys_of, records_of
from attnbench.run.plan import Planned, Setup, job_of
from attnbench.run.process import Spare, WorkerEnded, facts_of_worker, variables

MOST_COMPILERS = 32  # processes; torch takes no more by itself
MOST_KILLS = 3  # of workers from outside, before a run gives up

Watch = Callable[[int, Fact], None]


def spare_for(blocks: Sequence[Block], setup: Setup) -> Spare:
    """A worker that may be started ahead for what is timed first, where all have as many threads."""
    return Spare(variables(blocks[0].threads, setup.protocol.allocator, Path()))


def price(block: Block, setup: Setup) -> list[Fact]:
    """What of a block's count holds on any machine: its job, and what is `Priced` of its members.

    A setting without a meaning is an `InvalidSetting`.
    """
    asked = replace(block, cases=block.members)
    state = answered("price", asked, setup, lambda state: state.unpriced)
    return [state.job, *state.priced.values()]


def survey(
    blocks: Sequence[Block], setup: Setup, priced: Sequence[tuple[Case, Priced]] = ()
) -> list[Planned]:
    """Count every case in a worker of its own, and put the blocks in order, the cheapest first.

    What is `priced` of the same cases is taken. A setting without a meaning is an `InvalidSetting`.
    """
    counts = dict.fromkeys(block.threads for block in blocks)
    plan = [
        planned
        for threads in counts
        for planned in _surveyed([each for each in blocks if each.threads == threads], threads, setup, priced)
    ]
    return sorted(plan, key=lambda planned: planned.work)


def _surveyed(
    blocks: Sequence[Block], threads: int, setup: Setup, priced: Sequence[tuple[Case, Priced]]
) -> list[Planned]:
    """Blocks of so many threads with what is known of their cases."""
    cases = tuple(case for block in blocks for case in _without_twin(block))
    given = [
        replace(fact, case=index)
        for index, case in enumerate(cases)
        for known, fact in priced
        if known == case
    ]
    state = answered("count", Block(cases, threads), setup, lambda state: state.uncounted, given)
    known = state.known
    found = iter([(case.row, known.get(index, ())) for index, case in enumerate(cases)])
    return [
        Planned(block, state.environment, dict(islice(found, len(_without_twin(block))))) for block in blocks
    ]


def answered(
    task: Task,
    block: Block,
    setup: Setup,
    left: Callable[[BlockState], object],
    given: Sequence[Fact] = (),
) -> BlockState:
    """What workers find out of cases without timing them, beside what is given.

    A mistake of the user is an `InvalidSetting`.
    """
    with temporary() as folder:
        shard = folder / f"{task}.jsonl"
        journal.save(shard, [job_of(task, block, setup), *given])
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
        journal.save(shard, [job_of("measure", block, setup), planned.environment, *planned.facts()])
        _work_off(shard, setup, lambda state: state.unfinished, lambda _: None)
        return list(records_of(BlockState(journal.read(shard)), complete=True))


def _measure_block(
    planned: Planned, setup: Setup, there: CompleteKeys, watch: Callable[[Fact], None]
) -> bool:
    shard = _shard(planned, setup, there.folder)
    if not shard.exists():
        new = shard.with_suffix(".new")
        new.unlink(missing_ok=True)
        journal.save(new, [job_of("measure", planned.block, setup), planned.environment, *planned.facts()])
        new.rename(shard)
    for fact in journal.read(shard):
        watch(fact)
    try:
        _work_off(shard, setup, lambda state: state.unfinished, watch)
    except KeyboardInterrupt:
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
        worker = setup.worker or partial(facts_of_worker, spare=setup.spare)
        _work_off_in(compiled, worker, shard, left, watch)


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
        compilers = 1 if not state.examines_next else min(MOST_COMPILERS, logical_cores())
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
    keys = keys_of(members, planned.block.threads, setup.protocol, planned.environment)
    left = [
        case
        for case, key in zip(members, keys, strict=True)
        if key not in done or (done[key].refused and case.row in planned.fitting)
    ]
    return replace(planned, block=planned.block.of(left))


def _shard(planned: Planned, setup: Setup, folder: Path) -> Path:
    block = planned.block
    keys = keys_of(block.cases, block.threads, setup.protocol, planned.environment)
    return shard_of(folder, key_of_block(keys, setup.node))
