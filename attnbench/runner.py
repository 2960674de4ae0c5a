"""From a sweep to records: spawns workers, reads their shards, writes what they found. Does no torch work.

The parent only waits and reads; everything that touches a layer happens in worker processes of
`attnbench.measure.worker`. A worker's shard lies in the run's folder until its facts are records, so that an
interrupt loses nothing.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

from attnbench import record
from attnbench.errors import AttnbenchError
from attnbench.measure import facts
from attnbench.measure.facts import Counted, Environment, Fact, Failed, Timed, Warmed
from attnbench.measure.job import Job
from attnbench.record import Record
from attnbench.sweep import Block, Case, Protocol

SHARD = "shard.jsonl"
POLL_S = 0.2
WORKER_START_S = 5.0  # a worker imports torch and builds its layers; for the estimate only
SLOWER_THAN_MATMUL = 3.0  # layers reach about a third of a matmul's rate; for the estimate only


@dataclass(frozen=True, slots=True)
class Setup:
    """What all workers of a run share."""

    plugins: tuple[str, ...]
    threads: int
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known before anything is timed: the environment, and each block's counts or refusals."""

    environment: Environment
    blocks: tuple[tuple[Counted | Failed, ...], ...]


def survey(blocks: Sequence[Block], setup: Setup) -> Survey:
    """Count every case in one worker; a setting without a meaning is an `AttnbenchError`."""
    cases = tuple(case for block in blocks for case in block.cases)
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = list(_facts_of(_job("count", cases, setup), Path(folder) / SHARD))
        except WorkerDied as death:
            raise AttnbenchError(
                f"The cases could not be counted: {death}. Leave out the one at fault."
            ) from death
    (environment,) = (fact for fact in found if isinstance(fact, Environment))
    counts = [fact for fact in found if isinstance(fact, Counted | Failed)]
    for fact in counts:
        if isinstance(fact, Failed) and fact.outcome == "mistake":
            raise AttnbenchError(fact.reason)
    in_order = iter(counts)
    return Survey(environment, tuple(tuple(islice(in_order, len(block.cases))) for block in blocks))


def estimates_s(blocks: Sequence[Block], known: Survey, protocol: Protocol) -> list[float]:
    """About how long each block will take, from its counts and the machine's matmul rate."""
    return [
        _estimate_s(block, counts, known.environment.macs_per_s, protocol)
        for block, counts in zip(blocks, known.blocks, strict=True)
    ]


def _estimate_s(
    block: Block, counts: Sequence[Counted | Failed], macs_per_s: float, protocol: Protocol
) -> float:
    macs = [fact.macs for fact in counts if isinstance(fact, Counted)]
    calls_s = [SLOWER_THAN_MATMUL * block.batch * n / macs_per_s for n in macs]
    warmup_s = sum(
        min(max(4 * call_s, protocol.least_warmup_s), protocol.most_warmup_s) for call_s in calls_s
    )
    round_s = sum(max(call_s, protocol.min_sample_s) for call_s in calls_s)
    return WORKER_START_S + min(warmup_s + protocol.rounds * round_s, protocol.max_seconds)


def measure(
    blocks: Sequence[Block],
    known: Survey,
    setup: Setup,
    folder: Path,
    watch: Callable[[int, Fact], None],
) -> bool:
    """Time the blocks one after the other and append their records to the run in `folder`.

    `watch` is told each fact with its block's index as it arrives. Returns False when the user interrupted;
    what was measured until then is recorded.
    """
    return all(
        _measure_block(block, counts, known.environment, setup, folder, partial(watch, index))
        for index, (block, counts) in enumerate(zip(blocks, known.blocks, strict=True))
    )


def open_folder(folder: Path) -> None:
    """Make the folder of a new run, or say why it cannot be one."""
    if (folder / record.RECORDS).exists():
        raise AttnbenchError(
            f"{folder} already holds a run; name another folder with --out, or remove it first."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / record.RECORDS).touch()
    except OSError as error:
        raise AttnbenchError(
            f"The folder {folder} cannot be written: {error.strerror}; name another one with --out."
        ) from error


class WorkerDied(Exception):  # noqa: N818
    """A worker process ended before its job was done."""


def _measure_block(
    block: Block,
    counts: Sequence[Counted | Failed],
    environment: Environment,
    setup: Setup,
    folder: Path,
    watch: Callable[[Fact], None],
) -> bool:
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    shard = folder / SHARD
    finished, death = True, None
    try:
        for fact in _facts_of(_job("time", block.cases, setup), shard):
            watch(fact)
    except KeyboardInterrupt:
        finished = False
    except WorkerDied as died:
        death = str(died)

    found = list(facts.read(shard))
    for index, (case, count) in enumerate(zip(block.cases, counts, strict=True)):
        story = [fact for fact in found if not isinstance(fact, Environment) and fact.case == index]
        if finished or any(isinstance(fact, Timed) for fact in story):
            record.append(folder, _record(case, count, story, death, environment, setup, started_at))
    shard.unlink(missing_ok=True)
    return finished


def _record(
    case: Case,
    count: Counted | Failed,
    story: Sequence[Fact],
    death: str | None,
    environment: Environment,
    setup: Setup,
    started_at: str,
) -> Record:
    """The row of one case, from its count and from all that the worker that timed it said."""
    counted = count if isinstance(count, Counted) else None
    warmed = next((fact for fact in story if isinstance(fact, Warmed)), None)
    samples = tuple(fact.sample for fact in story if isinstance(fact, Timed))
    failed = next((fact for fact in story if isinstance(fact, Failed)), None)
    not_counted = f"not counted: {count.reason}" if isinstance(count, Failed) else None
    return Record(
        mechanism=case.mechanism,
        label=case.label,
        title=case.title,
        settings=case.settings,
        **asdict(case.geometry),
        batch=case.batch,
        mode=case.mode,
        device=case.device,
        dtype=case.dtype,
        kernel=case.kernel,
        outcome=failed.outcome if failed else "measured" if samples else "crashed",
        reason=failed.reason if failed else death or not_counted,
        params=counted.params if counted else None,
        macs=counted.macs if counted else None,
        macs_closed_form=counted.macs_closed_form if counted else None,
        macs_by_operator=counted.by_operator if counted else {},
        uncounted=counted.uncounted if counted else (),
        samples=samples,
        calls_per_sample=warmed.calls_per_sample if warmed else None,
        warmup_calls=warmed.calls if warmed else None,
        warmup_s=warmed.seconds if warmed else None,
        warmup_stable=warmed.stable if warmed else None,
        threads=setup.threads,
        protocol=setup.protocol,
        flags=environment.flags,
        started_at=started_at,
        machine=environment.machine,
    )


def _job(task: Literal["count", "time"], cases: tuple[Case, ...], setup: Setup) -> Job:
    return Job(task, cases, setup.plugins, setup.threads, setup.protocol)


def _facts_of(job: Job, shard: Path) -> Iterator[Fact]:
    """Run a worker and pass on its facts as it writes them; raise `WorkerDied` if it fails.

    The worker is in a session of its own, so that an interrupt at the terminal reaches only this process.
    """
    threads = str(job.threads)
    environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    with tempfile.TemporaryFile("w+") as errors:
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "attnbench.measure.worker", str(shard)],
            stdin=subprocess.PIPE,
            stdout=errors,
            stderr=errors,
            env=environment,
            text=True,
            start_new_session=True,
        )
        try:
            assert worker.stdin is not None
            with suppress(BrokenPipeError), worker.stdin as pipe:
                pipe.write(job.to_json())
            yield from _follow(shard, lambda: worker.poll() is None)
        finally:
            worker.kill()
            worker.wait()
        if worker.returncode:
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["without a word"])[-1]
            raise WorkerDied(f"the worker process ended with status {worker.returncode}: {last}")


def _follow(shard: Path, alive: Callable[[], bool]) -> Iterator[Fact]:
    """The facts of a shard as they are written, until its writer is gone and all are read."""
    seen = 0
    while True:
        last_look = not alive()
        found = list(facts.read(shard))
        yield from found[seen:]
        seen = len(found)
        if last_look:
            return
        time.sleep(POLL_S)
