"""The command that faults are put into: how it is started, which processes are its own, and how it ends."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import psutil

ARGUMENTS = (
    *("run", "msa", "hilo", "xca", "--res", "2,3", "--dim", "24", "--heads", "3", "--batch", "1"),
    *("--device", "cpu", "--threads", "1", "--quick", "--sessions", "1", "--max-seconds", "1"),
)
WORKER = "attnbench.measuring.worker"
MARK = (
    "ATTNBENCH_FAULTS"  # a variable by which the processes of a command are known, however they are orphaned
)
POLL_S = 0.05
OLD_S = 3600.0  # how old temporary folders are made that are nobody's any more
Result = TypeVar("Result")


class Stuck(Exception):  # noqa: N818
    """What must end or begin did neither in time."""


def heed_interrupts(then: Callable[[], None] | None) -> None:
    """A shell's background job ignores Ctrl-C, and so would every process that is started in it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if then:
        then()


def limit_of(kib: int) -> Callable[[], None]:
    """No file may grow beyond so much: to who writes it, the disk is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kib * 2**10, kib * 2**10))


class Command:
    """A command of a run, which can be started as often as it takes, with a place for all that it writes."""

    def __init__(self, place: Path) -> None:
        self.folder, self.temporary = place / "run", place / "tmp"
        self.temporary.mkdir(parents=True)
        self.mark = uuid4().hex
        self.said: list[str] = []

    def start(self, limit_kib: int | None = None) -> subprocess.Popen[str]:
        """Start it in a process group of its own, where no file may be larger than the limit, if any."""
        limit = None if limit_kib is None else limit_of(limit_kib)
        ours = {"TMPDIR": str(self.temporary), MARK: self.mark, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "attnbench", *ARGUMENTS, "--out", str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=os.environ | ours,
            start_new_session=True,
            preexec_fn=lambda: heed_interrupts(limit),
        )

    def status(self, process: subprocess.Popen[str], within_s: float) -> int:
        """The exit status of one of its starts, whose words are kept; `Stuck` where there is none in time."""
        try:
            words, _ = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            raise Stuck(f"a command took longer than {within_s:.0f} s") from None
        self.said.append(words)
        return process.returncode

    def processes(self) -> list[psutil.Process]:
        """All that live of it, those whose parent is gone included."""
        return [each for each in psutil.process_iter() if _mark_of(each) == self.mark]

    def worker(self, within_s: float) -> psutil.Process | None:
        """The worker that runs now, or the next one; None where the command ends before there is one."""
        return wait(within_s, "no worker has begun", lambda: self._workers(), self.is_over)

    def _workers(self) -> psutil.Process | None:
        return next((each for each in self.processes() if WORKER in _words_of(each)), None)

    def is_over(self) -> bool:
        """Whether none of its processes is left."""
        return not self.processes()

    def end(self) -> None:
        """Kill what is left of it."""
        while left := self.processes():
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(POLL_S)

    def abandon(self) -> None:
        """Make its temporary folders look as if a while had passed since they were left."""
        then = time.time() - OLD_S
        for path in self.temporary.rglob("*"):
            os.utime(path, (then, then))


def wait(
    within_s: float, otherwise: str, ask: Callable[[], Result | None], is_over: Callable[[], bool]
) -> Result | None:
    """The first answer that is something; None where all is over before. `Stuck` where it takes too long."""
    deadline = time.monotonic() + within_s
    while (answer := ask()) is None and not is_over():
        if time.monotonic() > deadline:
            raise Stuck(otherwise)
        time.sleep(POLL_S)
    return answer


def _mark_of(process: psutil.Process) -> str | None:
    """The mark of a process that lives and may be looked at."""
    try:
        alive = process.status() != psutil.STATUS_ZOMBIE
        return process.environ().get(MARK) if alive else None
    except (psutil.Error, OSError):
        return None


def _words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
