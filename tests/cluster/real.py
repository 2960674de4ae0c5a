"""A real Slurm of one node, the commands that use it, and what can be done to its jobs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

SCRIPT = Path(__file__).with_name("slurm.sh")
NEEDED = ("slurmctld", "slurmd", "munged", "sbatch")
PATH = f"{os.environ['PATH']}:/usr/sbin"
JOB, WORKER = "attnbench.cluster.job", "attnbench.measuring.worker"
Result = TypeVar("Result")


def why_not() -> str:
    """What is missing for a Slurm of one's own; nothing where all is there."""
    missing = [name for name in NEEDED if not shutil.which(name, path=PATH)]
    if os.geteuid():
        return "a Slurm of one's own is started by root"
    return f"{', '.join(missing)} not installed: apt-get install slurm-wlm munge" if missing else ""


def in_time(ask: Callable[[], Result], seconds: float = 180.0) -> Result:
    """The first answer that is something."""
    until = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)
    return answer


@dataclass(frozen=True)
class RealSlurm:
    """The commands of a Slurm of one node work with these `variables`."""

    variables: Mapping[str, str]

    def ask(self, *command: str) -> str:
        """What a command of Slurm's prints."""
        done = subprocess.run(command, env=self.variables, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def start(self, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
        """Start `attnbench` with these arguments in a folder."""
        return subprocess.Popen(
            [sys.executable, "-m", "attnbench", *arguments],
            env=self.variables,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def running(self) -> str:
        """The member of an array that runs now, `7_0`; nothing where none does."""
        return self.ask("squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i").partition("\n")[0]

    @property
    def number(self) -> str:
        """The same as control groups have it."""
        return self.ask("squeue", "-h", "-r", "-t", "RUNNING", "-o", "%A").partition("\n")[0]

    def node(self, *changes: str) -> None:
        """Change the node: `State=DRAIN`."""
        name = os.uname().nodename.partition(".")[0]
        self.ask("scontrol", "update", f"NodeName={name}", *changes)

    def cancel(self) -> None:
        """End the job that runs."""
        self.ask("scancel", in_time(lambda: self.running))

    def kill(self, what: str = JOB, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the python of a job that runs, or to its worker."""
        in_time(lambda: processes(what))[0].send_signal(number)


def processes(what: str = JOB) -> list[psutil.Process]:
    """The processes that jobs are, or their workers."""
    every = (each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"])
    return [each for each in every if what in each.info["cmdline"]]


@contextmanager
def started(home: Path, *, accounting: bool = False) -> Iterator[RealSlurm]:
    """A Slurm of one node, which writes below `home` and is gone at the end."""
    slurm = RealSlurm(
        {
            **os.environ,
            "PATH": PATH,
            "SLURM_HOME": str(home),
            "SLURM_CONF": str(home / "etc" / "slurm.conf"),
            "ACCOUNTING": str(int(accounting)),
        }
    )
    try:
        subprocess.run([SCRIPT, "start"], env=slurm.variables, check=True, timeout=60)
        yield slurm
    finally:
        subprocess.run([SCRIPT, "stop"], env=slurm.variables, check=True, timeout=60)
