"""Put faults into the jobs of a run on a real Slurm, and see that nothing is lost.

python -m tests.cluster.faults --blocks 30 --faults 10
"""

import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Annotated

import psutil
import typer

from attnbench.records.folder import shards
from attnbench.records.parts import parts
from attnbench.records.record import Record
from tests.cluster import real
from tests.cluster.real import RealSlurm
from tests.faults.comparison import Place, Whole, complete, doubled, lost, samples_there, whole

EFFORT = ("--sessions", "1", "--max-seconds", "1", "--precision", "50%")
SETTING = ("run", "msa", "--dim", "24", "--heads", "3", "--device", "cpu", "--threads", "1", *EFFORT)
BATCHES = 3
LATEST_S = 12.0  # about how long a job lasts
ROOM_BYTES = 4 * 2**20  # that a job still gets where its memory is to be too little
MOST_STARTS = 12
MEMORY = Path("/sys/fs/cgroup/memory")
POLL_S = 0.1

Fault = Callable[[RealSlurm], None]


def scancel(slurm: RealSlurm) -> None:
    slurm.cancel()


def kill_the_worker(slurm: RealSlurm) -> None:
    slurm.kill(real.WORKER)


def kill_the_job(slurm: RealSlurm) -> None:
    slurm.kill(real.JOB)


def take_its_memory(slurm: RealSlurm) -> None:
    """Leave the job little more memory than it has by now."""
    group = next(MEMORY.glob(f"slurm*/uid_*/job_{slurm.number}"))
    used = int((group / "memory.usage_in_bytes").read_text())
    (group / "memory.limit_in_bytes").write_text(f"{used + ROOM_BYTES}")


def take_its_time(slurm: RealSlurm) -> None:
    """Let its worker stand still until the time is up."""
    member = slurm.running
    slurm.ask("scontrol", "update", f"JobId={member}", "TimeLimit=1")
    slurm.kill(real.WORKER, signal.SIGSTOP)
    real.in_time(lambda: slurm.running != member)


def take_its_node(slurm: RealSlurm) -> None:
    """Let the node be down until it answers again, which is soon: Slurm queues the job again."""
    slurm.node("State=DOWN", "Reason=test")


def drain_its_node(slurm: RealSlurm) -> None:
    """Take the node out while the job runs, end that, and bring the node back."""
    slurm.node("State=DRAIN", "Reason=test")
    slurm.cancel()
    time.sleep(2)
    slurm.node("State=RESUME")


FAULTS: tuple[Fault, ...] = (
    *(scancel, kill_the_worker, kill_the_job, take_its_memory, drain_its_node),
    *(scancel, kill_the_worker, take_its_time, kill_the_job, take_its_node),
)


def main(
    blocks: Annotated[int, typer.Option(min=1, help="How many jobs there are.")] = 30,
    faults: Annotated[int, typer.Option(min=0, help="How many of them something happens to.")] = 10,
    seed: Annotated[int, typer.Option(help="Fixes when it does.")] = 0,
    accounting: Annotated[bool, typer.Option(help="With sacct.")] = False,
) -> None:
    """Measure tiny blocks on a real Slurm while their jobs are ended in the middle, and start the same again.

    The rows are compared with those of a run here. Exit status 1 where any is lost or doubled, or a shard is
    left.
    """
    if reason := real.why_not():
        raise typer.BadParameter(reason)
    sizes = ("--batch", ",".join(str(n + 1) for n in range(BATCHES)), "--res", f"2..{1 + blocks // BATCHES}")
    with tempfile.TemporaryDirectory() as name, real.started(Path(name), accounting=accounting) as slurm:
        place = Path(name)
        began = time.monotonic()
        said(slurm.start(place, *SETTING, *sizes, "--out", "here"))
        expected = whole(place / "here", time.monotonic() - began)
        print(f"Here {len(expected.outcomes)} rows took {expected.seconds:.0f} s.", flush=True)
        plan = [FAULTS[number % len(FAULTS)] for number in range(faults)]
        there = until_done(slurm, place, sizes, plan, Random(seed))
        raise typer.Exit(int(is_bad(place / "run", expected, there, len(complete(place / "here")))))


def until_done(
    slurm: RealSlurm, place: Path, sizes: tuple[str, ...], plan: list[Fault], chance: Random
) -> set[Place]:
    """Start the same command until it ends well, with these faults on the way; samples there were before."""
    there: set[Place] = set()
    site = "slurm:time=10,poll=1"
    for number in range(MOST_STARTS):
        began = time.monotonic()
        command = slurm.start(place, *SETTING, *sizes, "--out", "run", "--on", site)
        try:
            for fault in disturbed(slurm, command, plan, chance):
                print(f"{time.monotonic() - began:6.1f} s  {fault.__name__}", flush=True)
            words, status = said(command)
        finally:
            command.kill()
        there |= {sample for part in parts(place / "run") for sample in samples_there(part.run)}
        print(f"Command {number + 1} ended with {status} after {time.monotonic() - began:.0f} s.", flush=True)
        print("\n".join(line for line in words.splitlines() if "ended early" in line), flush=True)
        if status == 0:
            break
    return there


def disturbed(
    slurm: RealSlurm, command: "subprocess.Popen[str]", plan: list[Fault], chance: Random
) -> Iterator[Fault]:
    """The faults that came while the command went on, each in another job, at a random moment of it."""
    earlier = ""
    while plan and command.poll() is None:
        member = slurm.running
        if member in ("", earlier):
            time.sleep(POLL_S)
            continue
        moment_s = 0.5 if plan[0] is take_its_memory else chance.uniform(0, LATEST_S)
        time.sleep(moment_s)
        if slurm.running != member:
            continue  # it was over before: in the next one then
        earlier = member
        with suppress(subprocess.CalledProcessError, OSError, psutil.Error):  # over at that moment
            plan[0](slurm)
            yield plan.pop(0)


def is_bad(folder: Path, expected: Whole, there: set[Place], number: int) -> bool:
    """Whether rows, of which there should be this number, samples or files are not as they should be."""
    rows = complete(folder)
    ends = Counter(end.state for part in parts(folder) for end in part.ends)
    left = [*shards(folder), *folder.glob("blocks/*/run"), *folder.glob("blocks/*/done")]
    astray, twice = lost(rows, expected, there), max(len(rows) - number, doubled_in_blocks(rows))
    print(f"{len(rows)} rows, {astray} lost, {twice} doubled, {len(left)} files left; ends: {dict(ends)}")
    return bool(astray or twice or left)


def doubled_in_blocks(rows: Sequence[Record]) -> int:
    """How many rows and samples there are beyond one: blocks of one size share the keys of their ceilings."""
    blocks = {row.block for row in rows}
    return sum(doubled([row for row in rows if row.block == block]) for block in blocks)


def said(command: "subprocess.Popen[str]") -> tuple[str, int]:
    words, _ = command.communicate()
    return words, command.returncode


if __name__ == "__main__":
    typer.run(main)
