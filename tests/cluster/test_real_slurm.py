"""Runs through a real Slurm of one node, where jobs wait, are killed and begin anew: `pytest -m cluster`."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from attnbench.cluster.submission import submissions
from attnbench.records.parts import parts
from attnbench.records.record import Record
from attnbench.records.record_file import read
from tests.cluster import real
from tests.cluster.faults import doubled_in_blocks
from tests.cluster.real import PATH, RealSlurm, in_time

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
SETTING = ("--dim", "24", "--heads", "3", "--device", "cpu", "--threads", "1")
EFFORT = ("--sessions", "1", "--max-seconds", "1", "--precision", "50%")
BLOCK = ("msa", "--res", "2", "--batch", "1")
LONG = ("--max-seconds", "8", "--precision", "0.1%")  # enough to be ended in the middle
POLL_S = 1

Command = Callable[..., "subprocess.Popen[str]"]


with_and_without_accounting = pytest.mark.parametrize(
    "slurm", [False, True], indirect=True, ids=["without accounting", "with accounting"]
)


@pytest.fixture(scope="module")
def slurm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSlurm]:
    """A Slurm of one node, without accounting unless a test asks for that."""
    accounting: bool = getattr(request, "param", False)
    if reason := real.why_not():
        pytest.skip(reason)
    if accounting and not all(shutil.which(name, path=PATH) for name in ("slurmdbd", "mariadbd")):
        pytest.skip("no accounting here: apt-get install slurmdbd mariadb-server")
    with real.started(tmp_path_factory.mktemp("slurm"), accounting=accounting) as found:
        yield found


@pytest.fixture
def attnbench(slurm: RealSlurm, tmp_path: Path) -> Iterator[Command]:
    """Start a command in a folder of the test's own."""
    begun: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        begun.append(slurm.start(tmp_path, *arguments))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def run(attnbench: Command) -> Command:
    """Start the run of a tiny block, or of what is named, in jobs that get what `site` says."""

    def start(*what: str, site: str = f"time=10,poll={POLL_S}") -> "subprocess.Popen[str]":
        words = what if what and not what[0].startswith("--") else (*BLOCK, *what)
        return attnbench("run", *SETTING, *EFFORT, *words, "--out", "run", "--on", f"slurm:{site}")

    return start


def said(process: "subprocess.Popen[str]", status: int = 0) -> str:
    """What a command said, when it has ended so."""
    words, _ = process.communicate(timeout=600)
    assert process.returncode == status, words
    return words


def is_more(count: Callable[[], int], before: int) -> bool:
    return count() > before


def rows(folder: Path) -> tuple[Record, ...]:
    return read(folder / "run").records


def test_twelve_blocks_are_the_rows_of_a_local_run_each_alone_on_its_node_with_its_threads(
    attnbench: Command, run: Command, tmp_path: Path
):
    what = ("msa", "hilo", "--res", "2,3", "--batch", "1,2,3", "--mode", "inference,training")
    assert "12 blocks: 12 done" in said(run(*what))
    said(attnbench("run", *what, *SETTING, *EFFORT, "--out", "here"))
    assert sorted(row.key for row in rows(tmp_path)) == sorted(
        row.key for row in read(tmp_path / "here").records
    )
    given = [row.conditions.allocation for row in rows(tmp_path)]
    assert all(each and each.exclusive and len(each.affinity) >= each.node_cores for each in given)
    assert {(row.conditions.threads, bool(row.conditions.node)) for row in rows(tmp_path)} == {(1, True)}
    assert doubled_in_blocks(rows(tmp_path)) == 0


def test_jobs_that_are_killed_in_any_way_lose_nothing(slurm: RealSlurm, run: Command, tmp_path: Path):
    def taken() -> int:
        return sum(part.samples for part in parts(tmp_path / "run"))

    for kill in (slurm.cancel, slurm.kill):
        before = taken()
        command = run(*LONG)
        in_time(partial(is_more, taken, before))
        kill()
        assert "its job ended early" in said(command, status=4)
        assert taken() > before
    said(run(*LONG))
    assert [row.outcome for row in rows(tmp_path)] == ["measured"] * 4
    assert doubled_in_blocks(rows(tmp_path)) == 0
    assert list(tmp_path.glob("run/**/shard-*")) == []


def test_what_waits_for_a_drained_node_says_so_and_is_measured_when_it_is_back(
    slurm: RealSlurm, attnbench: Command, run: Command
):
    slurm.node("State=DRAIN", "Reason=test")
    try:
        said(run("--detach"))
        in_time(lambda: "1 waiting (" in said(attnbench("collect", "run")))
    finally:
        slurm.node("State=RESUME")
    assert "1 block: 1 done" in said(run())


@with_and_without_accounting
def test_a_job_beyond_its_memory_ends_as_slurm_says(run: Command):
    assert "its job ended early: OUT_OF_MEMORY" in said(run(site=f"time=10,poll={POLL_S},mem=60M"), status=4)


def test_two_commands_at_once_submit_each_block_once(run: Command, tmp_path: Path):
    both = [said(command) for command in [run(), run()]]
    assert sum("Submitted 1 block of 1" in each for each in both) == 1
    assert len(submissions(tmp_path / "run")) == 1
    assert len(rows(tmp_path)) == 4


def test_a_submitter_that_is_killed_at_once_leaves_a_run_to_collect(
    attnbench: Command, run: Command, tmp_path: Path
):
    command = run()
    in_time(lambda: (tmp_path / "run/blocks").exists() and submissions(tmp_path / "run"))
    command.send_signal(signal.SIGKILL)
    in_time(lambda: all(part.is_finished for part in parts(tmp_path / "run")))
    assert "1 block: 1 done. 4 new" in said(attnbench("collect", "run"))


def test_the_file_of_a_submission_names_its_job_which_cancel_ends(
    slurm: RealSlurm, run: Command, tmp_path: Path
):
    said(run("--detach"))
    (one,) = submissions(tmp_path / "run")
    assert slurm.ask("squeue", "-h", "-o", "%F %j", f"--job={one.job}") == f"{one.job} {one.name}"
    assert "are cancelled" in said(run("--cancel"))
    in_time(lambda: not slurm.running)


@pytest.mark.alone
@with_and_without_accounting
def test_a_dead_job_is_known_in_five_seconds_by_a_parent_that_does_not_spin(slurm: RealSlurm, run: Command):
    command = run(site="time=10")
    in_time(lambda: slurm.running)
    time.sleep(2)
    slurm.kill(real.WORKER, signal.SIGSTOP)  # so that it lasts
    parent = psutil.Process(command.pid)
    before, since = parent.cpu_times(), time.monotonic()
    time.sleep(12)
    spent_s = sum(parent.cpu_times()[:4]) - sum(before[:4])  # its own, and that of the commands that it runs
    share = spent_s / (time.monotonic() - since)
    slurm.kill()
    died = time.monotonic()
    words = said(command, status=4)
    known_s = time.monotonic() - died
    assert "its job ended early: FAILED" in words
    assert "signal 9" in words
    print(f"{100 * share:.2f} % of a core; known, and the command over, after {known_s:.1f} s")
    assert share < 0.01
    assert known_s < 5


@pytest.mark.alone
def test_a_block_takes_three_seconds_more_than_here_and_than_its_worker_takes_to_start(
    attnbench: Command, run: Command
):
    importing_s = seconds_of(
        lambda: subprocess.run([sys.executable, "-c", "import torch, mechanisms"], check=True)
    )
    here_s = seconds_of(lambda: said(attnbench("run", *BLOCK, *SETTING, *EFFORT, "--out", "here")))
    on_slurm_s = seconds_of(lambda: said(run()))
    print(f"{here_s:.1f} s here, {on_slurm_s:.1f} s on Slurm, {importing_s:.1f} s to start a worker")
    assert on_slurm_s - here_s - importing_s < 3


def seconds_of(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began
