"""The folder of a run: one process at a time, and what is there counts."""

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from attnbench.errors import AttnbenchError
from attnbench.records.folder import (
    HOLDER,
    LEASE,
    LOCK,
    PLAN,
    RETRY_S,
    YOUNG_S,
    InUse,
    complete_records,
    forget_plan,
    held,
    save_plan,
    shard_of,
    shards,
    start_over,
    temporary,
    unfinished,
)
from attnbench.records.record_file import RECORDS, append, read
from tests.fakes import record

COMMAND = ["run", "msa", "--res", "7"]


def test_a_folder_is_made_with_room_for_rows(tmp_path: Path):
    with held(tmp_path / "results" / "run"):
        assert read(tmp_path / "results" / "run").records == ()


def test_a_second_process_is_refused_and_told_who_holds_the_folder(tmp_path: Path):
    with (
        held(tmp_path),
        pytest.raises(
            AttnbenchError, match=rf"in use by process {os.getpid()}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d;"
        ),
        held(tmp_path),
    ):
        pass


def test_a_second_process_is_refused_although_the_lock_was_removed(tmp_path: Path):
    with held(tmp_path):
        (tmp_path / LOCK).unlink()
        with pytest.raises(AttnbenchError, match="in use by process"), held(tmp_path):
            pass
    with held(tmp_path):
        pass


def test_a_file_system_that_locks_files_alone_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lock = fcntl.flock

    def files_alone(descriptor: int, how: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", files_alone)
    with held(tmp_path), pytest.raises(AttnbenchError, match="in use by process"), held(tmp_path):
        pass


@pytest.mark.parametrize(
    "content",
    [None, "", "[1]", '{"process": 1}', "[" * 100_000],
    ids=["none", "torn", "list", "half", "deep"],
)
def test_a_holder_that_cannot_be_read_is_another_process(tmp_path: Path, content: str | None):
    with held(tmp_path):
        (tmp_path / HOLDER).unlink()
        if content is not None:
            (tmp_path / HOLDER).write_text(content)
        with pytest.raises(AttnbenchError, match="in use by another process; wait for it"), held(tmp_path):
            pass


def test_a_folder_is_free_again_whatever_ended_the_one_before(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), held(tmp_path):
        raise ZeroDivisionError
    with held(tmp_path):
        assert json.loads((tmp_path / HOLDER).read_text())["process"] == os.getpid()
    assert not (tmp_path / HOLDER).exists()


def test_a_refused_process_leaves_the_holder_alone(tmp_path: Path):
    with held(tmp_path):
        before = (tmp_path / HOLDER).read_text()
        with pytest.raises(AttnbenchError), held(tmp_path):
            pass
        assert (tmp_path / HOLDER).read_text() == before


def test_a_folder_that_cannot_be_made_says_why(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(AttnbenchError, match="cannot be written: Not a directory; name another"),
        held(tmp_path / "file" / "run"),
    ):
        pass


def test_a_row_that_was_cut_off_is_gone_once_the_folder_is_held(tmp_path: Path):
    append(tmp_path, [record("msa"), record("hilo")])
    (tmp_path / RECORDS).write_bytes((tmp_path / RECORDS).read_bytes()[:-9])
    with held(tmp_path):
        append(tmp_path, [record("sra")])
    found = read(tmp_path)
    assert [row.case.label for row in found.records] == ["msa", "sra"]
    assert found.warnings == ()


def test_a_whole_row_without_its_line_break_is_there_once_the_folder_is_held(tmp_path: Path):
    append(tmp_path, [record("msa"), record("hilo")])
    (tmp_path / RECORDS).write_bytes((tmp_path / RECORDS).read_bytes()[:-1])
    with held(tmp_path):
        append(tmp_path, [record("sra")])
    assert [row.case.label for row in read(tmp_path).records] == ["msa", "hilo", "sra"]


def refuse_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the file system say this when it is asked for a lock."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_lease_holds_a_folder_whose_file_system_has_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    refuse_locks(monkeypatch, number)
    for _ in range(2):
        with (
            held(tmp_path),
            pytest.raises(InUse, match=f"in use by process {os.getpid()}"),
            held(tmp_path, patience_s=2 * RETRY_S),
        ):
            pass
    assert not (tmp_path / LEASE).exists()


def test_a_folder_whose_killed_process_had_a_lease_is_free_when_that_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    refuse_locks(monkeypatch, errno.ENOLCK)
    (tmp_path / LEASE).write_text("killed")
    with pytest.raises(InUse), held(tmp_path):
        pass
    os.utime(tmp_path / LEASE, (0, 0))
    with held(tmp_path):
        assert (tmp_path / LEASE).read_text() != "killed"


def test_a_temporary_folder_needs_no_locks(monkeypatch: pytest.MonkeyPatch):
    refuse_locks(monkeypatch, errno.ENOLCK)
    with temporary() as folder:
        assert folder.is_dir()


def test_a_folder_that_cannot_be_locked_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    refuse_locks(monkeypatch, errno.EIO)
    says = f"The folder {tmp_path} cannot be locked .*; name a folder on a local disk with --out"
    with pytest.raises(AttnbenchError, match=says), held(tmp_path):
        pass


def test_a_folder_that_is_removed_meanwhile_is_one_clear_error(tmp_path: Path):
    def removed_meanwhile(run: Path) -> None:
        with held(run):
            shutil.rmtree(run)
            append(run, [record("msa")])

    with pytest.raises(AttnbenchError, match=rf"^{tmp_path / 'run'} was removed while the run went on"):
        removed_meanwhile(tmp_path / "run")


def test_another_error_in_a_held_folder_stays_what_it_is(tmp_path: Path):
    with pytest.raises(AttnbenchError, match=r"^mine$"), held(tmp_path):
        raise AttnbenchError("mine")


HOLDS = """
import tempfile, time
from attnbench.records.folder import temporary
with temporary() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


def age(folder: Path) -> None:
    """Let a temporary folder be old enough to be looked at."""
    made = (folder / LOCK).stat().st_mtime
    os.utime(folder / LOCK, (made - 2 * YOUNG_S,) * 2)


def test_the_temporary_folder_of_a_killed_process_goes_with_the_next_start_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        left = Path(other.stdout.readline().strip())
        age(left)
        (tmp_path / "attnbench-young").mkdir()
        (tmp_path / "attnbench-young" / LOCK).touch()
        with temporary() as folder:
            age(folder)
            with temporary():
                assert folder.exists()
            assert left.exists()
        other.send_signal(signal.SIGKILL)
    with temporary():
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["attnbench-young"]


def test_only_complete_rows_need_nothing_more(tmp_path: Path):
    append(tmp_path, [record("msa"), record("hilo", complete=False), record("sra", outcome="crashed")])
    assert list(complete_records(tmp_path)) == ["key of msa", "key of sra"]


def test_the_shards_of_a_folder_are_those_of_its_blocks(tmp_path: Path):
    for block in ("b", "a"):
        shard_of(tmp_path, block).touch()
    shard_of(tmp_path, "half").with_suffix(".new").touch()
    (tmp_path / RECORDS).touch()
    assert shards(tmp_path) == [shard_of(tmp_path, "a"), shard_of(tmp_path, "b")]


def test_starting_over_keeps_the_rows_beside_and_drops_what_is_unfinished(tmp_path: Path):
    append(tmp_path, [record("msa")])
    before = (tmp_path / RECORDS).read_bytes()
    shard_of(tmp_path, "a").touch()
    aside = start_over(tmp_path)
    assert aside is not None
    assert re.fullmatch(r"records-until-[\d_-]+\.jsonl", aside.name)
    assert aside.read_bytes() == before
    assert read(tmp_path).records == ()
    assert shards(tmp_path) == []


def test_starting_over_without_rows_puts_nothing_aside(tmp_path: Path):
    (tmp_path / RECORDS).touch()
    assert start_over(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == [RECORDS]


def begun(folder: Path, command: list[str], at: int) -> Path:
    """A run that this command began at a time."""
    folder.mkdir()
    save_plan(folder, command)
    os.utime(folder / PLAN, (at, at))
    return folder


def test_a_command_finds_the_newest_run_that_it_did_not_finish(tmp_path: Path):
    begun(tmp_path / "c", COMMAND, at=1)
    wanted = begun(tmp_path / "a", COMMAND, at=3)
    begun(tmp_path / "b", COMMAND, at=2)
    begun(tmp_path / "z", [*COMMAND, "--quick"], at=4)
    assert unfinished(tmp_path, COMMAND) == wanted


def test_a_finished_run_is_not_gone_on_with(tmp_path: Path):
    forget_plan(begun(tmp_path / "a", COMMAND, at=1))
    assert unfinished(tmp_path, COMMAND) is None
    assert unfinished(tmp_path / "nowhere", COMMAND) is None


def test_a_plan_that_was_cut_off_hinders_no_other_run(tmp_path: Path):
    wanted = begun(tmp_path / "a", COMMAND, at=1)
    (begun(tmp_path / "b", COMMAND, at=2) / PLAN).write_text("")
    assert unfinished(tmp_path, COMMAND) == wanted
