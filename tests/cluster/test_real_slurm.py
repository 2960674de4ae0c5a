"""Runs through a real Slurm of one node, where jobs wait, are killed and begin anew: `pytest -m cluster`."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from attnbench.cluster.submission import Submission, submissions
from attnbench.records.parts import parts
from attnbench.records.record import Record
from attnbench.records.record_file import read

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
SCRIPT = Path(__file__).with_name("slurm.sh")
NEEDED = ("slurmctld", "slurmd", "munged", "sbatch")
BLOCK = ("--dim", "24", "--heads", "3", "--device", "cpu", "--threads", "1")
EFFORT = ("--sessions", "1", "--max-seconds", "1", "--precision", "50%")
POLL = "slurm:time=10,poll=1"


def why_not() -> str:
    """What is missing for a Slurm of one's own; nothing where all is there."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [name for name in NEEDED if not shutil.which(name, path=path)]
    if os.geteuid():
        return "a Slurm of one's own is started by root"
    return f"{', '.join(missing)} not installed: apt-get install slurm-wlm munge" if missing else ""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Slurm of one node; the environment in which its commands work."""
    if reason := why_not():
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("slurm")
    variables = {
        **os.environ,
        "PATH": f"{os.environ['PATH']}:/usr/sbin",
        "SLURM_HOME": str(home),
        "SLURM_CONF": str(home / "etc" / "slurm.conf"),
    }
    subprocess.run([SCRIPT, "start"], env=variables, check=True, timeout=60)
    try:
        yield variables
    finally:
        subprocess.run(["scancel", "--user=root"], env=variables, check=False, timeout=30)
        subprocess.run([SCRIPT, "stop"], env=variables, check=True, timeout=60)


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(slurm: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start `attnbench` with these arguments, in a folder of the test's own."""
    begun: list[subprocess.Popen[str]] = []

    def started(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "attnbench", *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, env=slurm, cwd=tmp_path, stdout=pipe, stderr=subprocess.STDOUT, text=True
        )
        begun.append(process)
        return process

    yield started
    for process in begun:
        process.kill()
        process.communicate()


def ended(process: "subprocess.Popen[str]") -> str:
    """What a command said, when it has ended well."""
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 0, said
    return said


def on_slurm(start: Start, *what: str) -> "subprocess.Popen[str]":
    return start("run", *what, *BLOCK, *EFFORT, "--out", "run", "--on", POLL)


def in_time(true: Callable[[], object], seconds: float = 180.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


def job_of(slurm: dict[str, str]) -> str:
    """The member of an array that runs now, `7_0`; nothing where none does."""
    asked = ["squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i"]
    return subprocess.run(asked, env=slurm, capture_output=True, text=True, check=True).stdout.strip()


def jobs_python() -> list[psutil.Process]:
    """The processes of jobs that measure, workers left out."""
    every = (each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"])
    return [each for each in every if "attnbench.cluster.job" in each.info["cmdline"]]


def samples_once(rows: tuple[Record, ...]) -> bool:
    """Whether no sample is in two rows, and no row there twice."""
    taken = [
        (row.key, row.block, each.session, each.round, each.position) for row in rows for each in row.samples
    ]
    return len(taken) == len(set(taken)) and len(
        {(row.block, row.key, row.case.role) for row in rows}
    ) == len(rows)


def test_twelve_blocks_are_the_rows_of_a_local_run_on_whole_nodes(
    start: Start, slurm: dict[str, str], tmp_path: Path
):
    what = ("msa", "hilo", "--res", "2,4", "--batch", "1,2,3", "--mode", "inference,training")
    said = ended(on_slurm(start, *what))
    assert "12 blocks: 12 done" in said
    rows = read(tmp_path / "run").records
    ended(start("run", *what, *BLOCK, *EFFORT, "--out", "here"))
    here = read(tmp_path / "here").records
    assert sorted(row.key for row in rows) == sorted(row.key for row in here)
    assert len({row.block for row in rows}) == 12
    given = {row.conditions.allocation for row in rows}
    assert all(each and each.exclusive and len(each.affinity) >= 1 for each in given)
    assert len({row.conditions.node for row in rows}) == 1
    assert samples_once(rows)


def test_jobs_that_are_killed_in_any_way_lose_nothing(start: Start, slurm: dict[str, str], tmp_path: Path):
    what = ("msa", "hilo", "--res", "2,4", "--batch", "1,2")

    def scancel() -> None:
        subprocess.run(["scancel", job_of(slurm)], env=slurm, check=True)

    def kill() -> None:
        jobs_python()[0].send_signal(signal.SIGKILL)

    def requeue_on_a_drained_node() -> None:
        node = os.uname().nodename.partition(".")[0]
        drain = ["scontrol", "update", f"NodeName={node}"]
        subprocess.run([*drain, "State=DRAIN", "Reason=test"], env=slurm, check=True)
        subprocess.run(["scancel", job_of(slurm)], env=slurm, check=True)
        time.sleep(3)
        subprocess.run([*drain, "State=RESUME"], env=slurm, check=True)

    for disturb in (scancel, kill, requeue_on_a_drained_node):
        command = on_slurm(start, *what)
        in_time(lambda: any(part.samples for part in parts(tmp_path / "run") if not part.is_finished))
        disturb()
        said, _ = command.communicate(timeout=600)
        assert command.returncode in (0, 4), said
    said = ended(on_slurm(start, *what))
    rows = read(tmp_path / "run").records
    assert len(rows) == 4 * 5
    assert {row.outcome for row in rows} == {"measured"}
    assert samples_once(rows)
    assert list(tmp_path.glob("run/**/shard-*")) == []


def test_a_job_beyond_its_memory_ends_as_slurm_says(start: Start, slurm: dict[str, str], tmp_path: Path):
    site = "slurm:time=10,poll=1,mem=60M"
    command = start("run", "msa", "--res", "2", "--batch", "1", *BLOCK, *EFFORT, "--out", "run", "--on", site)
    said, _ = command.communicate(timeout=300)
    assert command.returncode == 4
    assert re.search(r"its job ended early: OUT_OF_MEMORY", said), said


def test_two_commands_at_once_submit_each_block_once(start: Start, slurm: dict[str, str], tmp_path: Path):
    what = ("msa", "--res", "2", "--batch", "1,2")
    both = [on_slurm(start, *what) for _ in range(2)]
    said = [ended(each) for each in both]
    assert sum("Submitted 2 blocks of 2" in each for each in said) == 1
    assert len(submissions(tmp_path / "run")) == 1
    assert len(read(tmp_path / "run").records) == 2 * 4


def test_a_submitter_that_is_killed_at_once_leaves_a_run_to_collect(
    start: Start, slurm: dict[str, str], tmp_path: Path
):
    command = on_slurm(start, "msa", "--res", "2", "--batch", "1")
    in_time(lambda: (tmp_path / "run/blocks").exists() and submissions(tmp_path / "run"))
    command.send_signal(signal.SIGKILL)
    in_time(lambda: submissions(tmp_path / "run")[0].job or True)
    in_time(lambda: all(part.is_finished for part in parts(tmp_path / "run")))
    assert "1 block: 1 done. 4 new" in ended(start("collect", "run"))


def test_a_dead_job_is_known_in_five_seconds_by_a_parent_that_does_not_spin(
    start: Start, slurm: dict[str, str], tmp_path: Path
):
    site = "slurm:time=10"
    command = start("run", "msa", "--res", "2", "--batch", "1", *BLOCK, *EFFORT, "--out", "run", "--on", site)
    in_time(lambda: job_of(slurm))
    time.sleep(2)
    parent = psutil.Process(command.pid)
    before, since = parent.cpu_times(), time.monotonic()
    time.sleep(9)
    after = parent.cpu_times()
    spent_s = sum(after[:4]) - sum(before[:4])  # its own, and that of the commands that it runs
    assert spent_s < 0.01 * (time.monotonic() - since)
    jobs_python()[0].send_signal(signal.SIGKILL)
    died = time.monotonic()
    said, _ = command.communicate(timeout=60)
    assert time.monotonic() - died < 5 + 2  # the table is written in that time as well
    assert "its job ended early: FAILED" in said


def test_a_block_takes_three_seconds_more_than_here_at_most(
    start: Start, slurm: dict[str, str], tmp_path: Path
):
    what = ("msa", "--res", "2", "--batch", "1")
    began = time.monotonic()
    ended(start("run", *what, *BLOCK, *EFFORT, "--out", "here"))
    here_s = time.monotonic() - began
    began = time.monotonic()
    ended(on_slurm(start, *what))
    assert time.monotonic() - began - here_s < 3 + 3  # a process more than here imports torch: the job's own


def test_the_file_of_a_submission_names_its_job(start: Start, slurm: dict[str, str], tmp_path: Path):
    ended(
        start(
            "run",
            "msa",
            "--res",
            "2",
            "--batch",
            "1",
            *BLOCK,
            *EFFORT,
            "--out",
            "run",
            "--on",
            POLL,
            "--detach",
        )
    )
    (one,) = submissions(tmp_path / "run")
    assert isinstance(one, Submission)
    known = json.loads(
        subprocess.run(["squeue", "--json"], env=slurm, capture_output=True, text=True, check=True).stdout
    )
    assert one.name in {job["name"] for job in known["jobs"]}
    assert "are cancelled" in ended(
        start(
            "run",
            "msa",
            "--res",
            "2",
            "--batch",
            "1",
            *BLOCK,
            *EFFORT,
            "--out",
            "run",
            "--on",
            POLL,
            "--cancel",
        )
    )
    in_time(lambda: not job_of(slurm))
