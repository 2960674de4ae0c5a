"""Worker processes: spawned, followed through their shard, and ended when they take too long. No torch.

The parent waits without spinning and reads only what is new in a shard.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from attnbench.cases.protocol import KEPT
from attnbench.machine.allocator import KEEP_FREED_MEMORY
from attnbench.machine.system import processes_killed_for_memory
from attnbench.records import journal
from attnbench.records.journal import Began, Environment, Fact, Started

POLL_S = 0.25
FROM_OUTSIDE = frozenset(
    getattr(signal, name)
    for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)
)
"""What a person, a scheduler or the system sends, and no fault of a layer raises."""
COMPILED = "TORCHINDUCTOR_CACHE_DIR"
TRACEBACK = "Traceback (most recent call last):"
THROWN = "what():"  # before what C++ says of an exception that nobody caught
LONGEST_START_S = 300.0  # until a worker has imported torch and the mechanisms


class WorkerEnded(Exception):  # noqa: N818
    """A worker process ended before its work was done; `at_work` is the step that it was at, if any."""

    def __init__(self, reason: str, at_work: Started | None, outcome: str, returncode: int) -> None:
        super().__init__(reason)
        self.at_work = at_work
        self.outcome = outcome
        self.returncode = returncode

    @property
    def from_outside(self) -> bool:
        """Whether a signal ended it that a person or the system sends, and not its own fault."""
        return self.outcome == "crashed" and -self.returncode in FROM_OUTSIDE


def variables(threads: int, allocator: str, compiled: Path, compilers: int = 1) -> dict[str, str]:
    """The environment of a worker: its threads, how it allocates, and the folder for what it compiles.

    Compilation takes so many `compilers`: with 1 no processes of its own, which would be there while others
    are timed. Variables for the allocator that are set already stay as they are.
    """
    kept = {name: os.environ.get(name, value) for name, value in KEEP_FREED_MEMORY.items()}
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        COMPILED: str(compiled),
        "TORCHINDUCTOR_COMPILE_THREADS": str(compilers),
        **(kept if allocator == KEPT else {}),
    }


@dataclass(frozen=True, slots=True)
class Spawned:
    """A worker process, and the file of what it says."""

    process: subprocess.Popen[str]
    said: IO[str]


class Spare:
    """A worker that is started ahead, while others count and nothing is timed, and waits for its shard.

    It saves what is timed first the seconds in which torch is imported. It has this `environment`, and one
    job that asks for the same, but for the folder for what is compiled. At the end of the `with` it is gone.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.waiting = ExitStack()
        self.worker: Spawned | None = None
        self.was_started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.waiting.close()

    def start(self) -> None:
        """Start it, the first time."""
        if not self.was_started:
            self.was_started = True
            self.worker = self.waiting.enter_context(_spawned((), self.environment))

    @contextmanager
    def at_work(self, shard: Path, environment: Mapping[str, str]) -> Iterator[Spawned | None]:
        """The worker on this shard, if there is one that fits; None, and none that waits, if not."""
        worker, self.worker = self.worker, None
        with self.waiting.pop_all():
            fits = {**self.environment, COMPILED: ""} == {**environment, COMPILED: ""}
            yield worker if worker and fits and _is_told(worker, shard, environment) else None


def facts_of_worker(
    shard: Path, environment: Mapping[str, str], timeout_s: float, spare: Spare | None = None
) -> Generator[Fact]:
    """Run one worker on a shard and pass on its new facts as it writes them; raise `WorkerEnded` if it fails.

    `environment` is added to that of this process. A step that takes longer than `timeout_s`, times its own
    patience, ends the worker. A `spare` one is taken, or started once this one has timed what it does of the
    machine.
    """
    with journal.there(shard):
        seen = shard.stat().st_size
    with ExitStack() as stack:
        worker = stack.enter_context(spare.at_work(shard, environment)) if spare else None
        worker = worker or stack.enter_context(_spawned((str(shard),), environment))
        for fact in _facts_of(worker, shard, seen, timeout_s):
            if spare and isinstance(fact, Environment):
                spare.start()
            yield fact


def _facts_of(worker: Spawned, shard: Path, seen: int, timeout_s: float) -> Generator[Fact]:
    """What the worker writes after so many bytes of its shard."""
    process = worker.process
    killed = processes_killed_for_memory()
    at_work: Started | None = None
    begun = False
    last_news, running = time.monotonic(), True
    while running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
        running = process.poll() is None
        news, seen = journal.news(shard, seen)
        for fact in news:
            at_work = fact if isinstance(fact, Started) else None
            begun |= isinstance(fact, Began | Started)
            last_news = time.monotonic()
            yield fact
        limit_s = timeout_s * (at_work.patience if at_work else 1) if begun else LONGEST_START_S
        if running and time.monotonic() - last_news > limit_s:
            what = f"{at_work.step} took" if at_work else "a silence lasted" if begun else "starting took"
            raise WorkerEnded(f"{what} longer than {limit_s:g} s", at_work, "timed_out", 0)
    if process.returncode == -signal.SIGKILL and processes_killed_for_memory() != killed:
        reason = "its control group had no memory left, and the kernel ended the worker process"
        raise WorkerEnded(reason, at_work, "out_of_memory", process.returncode)
    if process.returncode or at_work:  # no worker ends within a step of its own accord
        raise WorkerEnded(_why(process.returncode, worker.said), at_work, "crashed", process.returncode)


@contextmanager
def _spawned(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[Spawned]:
    """A worker; killed at the end with its children, if any still run.

    It is in a session of its own, so that an interrupt at the terminal reaches only this process. Its
    standard input stays open: the end of that tells the worker that its parent is gone.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "attnbench.measuring.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            env=os.environ | environment,
            text=True,
            start_new_session=True,
        )
        try:
            yield Spawned(process, said)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its children too
            with suppress(BrokenPipeError):  # what it was told and did not read
                process.communicate()


def _is_told(worker: Spawned, shard: Path, environment: Mapping[str, str]) -> bool:
    """Tell a worker that waits what to do; whether it is there to hear it."""
    if worker.process.poll() is not None:
        return False
    line = json.dumps({"shard": str(shard.resolve()), "environment": dict(environment)})
    assert worker.process.stdin is not None
    try:
        worker.process.stdin.write(f"{line}\n")
        worker.process.stdin.flush()
    except BrokenPipeError:
        return False
    return True


def _why(returncode: int, said: IO[str]) -> str:
    said.seek(0)
    how = (
        f"was ended by {signal.Signals(-returncode).name}"
        if returncode < 0
        else f"ended with status {returncode}"
    )
    return f"the worker process {how}: {_last_words(said.read().strip().splitlines())}"


def _last_words(lines: list[str]) -> str:
    """What was raised, though lines of it or of a stack stand below; or else the last line."""
    thrown = [line.strip() for line in lines if line.strip().startswith(THROWN)]
    if thrown:
        return thrown[-1].removeprefix(THROWN).strip()
    if TRACEBACK in lines:
        behind = lines[len(lines) - lines[::-1].index(TRACEBACK) :]
        return next((line for line in behind if line and not line.startswith(" ")), TRACEBACK)
    return lines[-1] if lines else "without a word"
