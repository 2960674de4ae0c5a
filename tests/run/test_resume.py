"""Runs that are killed, cut off and out of room, and go on with the same command. Minutes, so marked slow."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from attnbench.records.folder import shards
from attnbench.records.record import Record
from attnbench.records.record_file import RECORDS, read
from tests.faults.command import heed_interrupts, limit_of
from tests.faults.comparison import doubled

pytestmark = pytest.mark.slow

SIZE = ("--dim", "8", "--heads", "2", "--batch", "2", "--device", "cpu")
EFFORT = ("--threads", "1", "--max-seconds", "2", "--sessions", "2")
CASES = (
    ("msa", "member"), ("hilo", "member"), ("msa", "twin"), ("ceiling/matmul", "ceiling"),
    ("ceiling/copy", "ceiling"),
)  # fmt: skip
EXPECTED = ("Already in ", "cpu 2x2 batch 2: ", "cpu 3x3 batch 2: ", "This takes about ", "measuring cpu ")


class Command:
    """One command of a run, which can be started as often as it takes."""

    def __init__(self, folder: Path, sides: Sequence[int]) -> None:
        self.folder = folder
        maps = ",".join(map(str, sides))
        self.arguments = ["run", "msa", "hilo", "--res", maps, *SIZE, *EFFORT, "--out", str(folder)]
        self.whole = {(label, side, role, "measured") for side in sides for label, role in CASES}

    def start(self, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "attnbench", *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"COLUMNS": "300"},  # a line for each sentence
            text=True,
            preexec_fn=lambda: heed_interrupts(before),
        )

    def finish(self, before: Callable[[], None] | None = None) -> tuple[int, str]:
        """Its exit status and what it says on standard error besides its plan and its progress."""
        process = self.start(before)
        _, said = process.communicate(timeout=200)
        lines = said.splitlines(keepends=True)
        return process.returncode, "".join(line for line in lines if not line.startswith(EXPECTED))

    def wait_for_samples(self) -> None:
        while not any("Timed" in shard.read_text() for shard in shards(self.folder)):
            time.sleep(0.02)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """A command of one block."""
    return Command(tmp_path / "run", [2])


def complete(folder: Path) -> list[Record]:
    return [row for row in read(folder).records if row.complete]


def summary(rows: list[Record]) -> set[tuple[str, int, str, str]]:
    return {(row.case.label, row.case.workload.geometry.height, row.case.role, row.outcome) for row in rows}


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_six_kills_and_the_same_command_end_as_an_undisturbed_run_does(tmp_path: Path):
    command, moments = Command(tmp_path / "run", [2, 3]), random.Random(1)
    for _ in range(6):
        process = command.start()
        time.sleep(moments.uniform(1, 10))
        alive = workers_of(process) if process.poll() is None else []
        process.kill()
        process.communicate()
        assert psutil.wait_procs(alive, timeout=10)[1] == []
    assert command.finish() == (0, "")
    rows = complete(command.folder)
    assert len(rows) == len(command.whole)
    assert summary(rows) == command.whole
    assert doubled(rows) == 0
    assert {len(row.witnesses) for row in rows} == {2}
    assert shards(command.folder) == []


def test_a_worker_that_is_killed_once_is_replaced_and_nobody_is_blamed(command: Command):
    process = command.start()
    command.wait_for_samples()
    (worker,) = workers_of(process)
    worker.kill()
    process.communicate(timeout=200)
    assert process.returncode == 0
    rows = complete(command.folder)
    assert summary(rows) == command.whole
    assert {row.reason for row in rows} == {None}
    assert doubled(rows) == 0


def test_a_second_process_is_refused_with_the_first_ones_number(command: Command):
    command.arguments += ["--max-seconds", "100", "--precision", "0.01%"]  # it outlasts the second one
    process = command.start()
    command.wait_for_samples()
    status, said = command.finish()
    assert status == 2
    assert f"in use by process {process.pid}, since 20" in said
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_a_full_disk_is_said_whoever_has_no_room_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """First a worker has no room for its shard, and then its parent for the rows of one that is whole."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    command = Command(tmp_path / "run", [2, 3])
    command.arguments += ["--precision", "99%"]  # so few samples that rows of a block have 16 to 24 KiB
    for kib in (10, 30):
        status, said = command.finish(limit_of(kib))
        assert says_that_nothing_can_be_written(command, status, said)
        (shard,) = shards(command.folder)
        block, measured = shard.stem.removeprefix("shard-"), shard.read_text().count("Timed")
        assert measured
    assert command.finish() == (0, "")
    rows = complete(command.folder)
    assert summary(rows) == command.whole
    assert doubled(rows) == 0
    assert sum(len(row.samples) for row in rows if row.block == block) >= measured
    assert (command.folder / RECORDS).stat().st_size > kib * 2**10


def says_that_nothing_can_be_written(command: Command, status: int, said: str) -> bool:
    """Whether a command ended with one line that says so of its folder."""
    begins = said.startswith(f"Error: {command.folder}")
    return status == 2 and begins and " cannot be written: " in said and said.count("\n") == 1


@contextmanager
def file_system(kib: int) -> Iterator[Path]:
    """A file system in memory with room for so much; where none may be mounted, the test is left out."""
    with TemporaryDirectory() as folder:
        mount = ("mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", folder)
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("no file system may be mounted here")
        try:
            yield Path(folder)
        finally:
            subprocess.run(("umount", "--lazy", folder), check=True)


def test_a_run_on_a_file_system_that_is_full_goes_on_when_it_has_grown():
    """At first there is no room for a sample, then for some."""
    with file_system(12) as small:
        command = Command(small / "run", [2, 3])
        for has_samples, larger in ((False, "32k"), (True, "64m")):
            status, said = command.finish()
            assert says_that_nothing_can_be_written(command, status, said), said
            there = [sample for row in complete(command.folder) for sample in row.samples]
            measured = sum(shard.read_text().count("Timed") for shard in shards(command.folder))
            assert bool(measured + len(there)) == has_samples
            subprocess.run(("mount", "-o", f"remount,size={larger}", small), check=True)
        assert command.finish() == (0, "")
        rows = complete(command.folder)
        assert summary(rows) == command.whole
        assert doubled(rows) == 0
        kept = [sample for row in rows for sample in row.samples]
        assert len(kept) >= measured + len(there)
        assert all(sample in kept for sample in there)
