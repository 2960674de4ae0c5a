"""Workers from outside: followed through their shard, and ended. Shell scripts stand in for them."""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from attnbench.cases.protocol import KEPT, SYSTEM
from attnbench.errors import AttnbenchError
from attnbench.machine.allocator import KEEP_FREED_MEMORY
from attnbench.records import journal
from attnbench.records.journal import Began, Ended, Environment, Fact, Started, to_line
from attnbench.run import process
from attnbench.run.process import Spare, WorkerEnded, facts_of_worker, variables
from tests.fakes import witness
from tests.shards import ENVIRONMENT, job

FIRST, CALL, DONE = Began(0), Started(1, "its first call"), Ended(witness())


class Workers:
    """Runs shell scripts in place of workers; `$4` is the shard that they write to."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / "worker.sh"
        self.shard = folder / "shard.jsonl"
        self.seen: list[Fact] = []
        journal.save(self.shard, [job()])

    def run(self, *lines: str, timeout_s: float = 30, threads: int = 1) -> None:
        self.script.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
        self.script.chmod(0o755)
        for fact in facts_of_worker(self.shard, variables(threads, KEPT, Path("compiled")), timeout_s):
            self.seen.append(fact)

    def end_of(self, *lines: str, timeout_s: float = 30) -> WorkerEnded:
        with pytest.raises(WorkerEnded) as ended:
            self.run(*lines, timeout_s=timeout_s)
        return ended.value


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workers:
    workers = Workers(tmp_path)
    monkeypatch.setattr(sys, "executable", str(workers.script))
    monkeypatch.setattr(process, "POLL_S", 0.02)
    return workers


def write(*written: Fact) -> str:
    """The line of a script that writes these facts."""
    return f"printf '%s' '{''.join(map(to_line, written))}' >> $4"


class Ahead:
    """A spare worker whose script waits to be told of its shard, and what the one that is there does."""

    def __init__(self, workers: Workers, waits: str = "read -r order") -> None:
        self.workers = workers
        self.mine = variables(1, KEPT, Path("first"))
        self.spare = Spare(self.mine)
        self.told, self.pid = (Path(f"{workers.shard}.{name}") for name in ("told", "pid"))
        lines = (
            f'if [ -z "$4" ]; then echo $$ > {self.pid}; {waits}; printf \'%s\' "$order" > {self.told}; fi',
            f'echo "$4" >> {workers.shard}.given',
            f"set -- 1 2 3 {workers.shard}",
            write(FIRST, DONE),
        )
        workers.script.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
        workers.script.chmod(0o755)

    def begin(self) -> None:
        self.spare.start()
        while not self.pid.exists() or not self.pid.read_text():
            time.sleep(0.02)

    def facts(self, environment: Mapping[str, str]) -> list[Fact]:
        return list(facts_of_worker(self.workers.shard, environment, 30, self.spare))

    @property
    def shards_given(self) -> list[str]:
        """The shard that each worker got when it was started, or nothing."""
        return Path(f"{self.workers.shard}.given").read_text().split("\n")[:-1]


def test_a_worker_that_was_started_ahead_is_told_of_its_shard(workers: Workers):
    ahead, other = Ahead(workers), variables(1, KEPT, Path("second"))
    with ahead.spare:
        ahead.begin()
        assert ahead.facts(other) == [FIRST, DONE]
    assert json.loads(ahead.told.read_text()) == {"shard": str(workers.shard), "environment": other}
    assert ahead.shards_given == [""]


def test_a_worker_that_was_started_ahead_has_one_job(workers: Workers):
    ahead = Ahead(workers)
    with ahead.spare:
        ahead.begin()
        assert ahead.facts(ahead.mine) == ahead.facts(ahead.mine) == [FIRST, DONE]
        ahead.spare.start()
    assert ahead.shards_given == ["", str(workers.shard)]


def test_another_environment_wants_a_worker_of_its_own_and_ends_the_one_that_waits(workers: Workers):
    ahead = Ahead(workers)
    with ahead.spare:
        ahead.begin()
        assert ahead.facts(variables(2, KEPT, Path("first"))) == [FIRST, DONE]
        assert not _is_alive(int(ahead.pid.read_text()))
    assert ahead.shards_given == [str(workers.shard)]


def test_a_spare_worker_that_is_gone_is_not_waited_for(workers: Workers):
    ahead = Ahead(workers, waits="exit 0")
    with ahead.spare:
        ahead.begin()
        assert ahead.spare.worker is not None
        ahead.spare.worker.process.wait(10)
        assert ahead.facts(ahead.mine) == [FIRST, DONE]
    assert ahead.shards_given == [str(workers.shard)]


def test_a_spare_worker_that_does_not_listen_any_more_is_not_waited_for(workers: Workers):
    deaf = Path(f"{workers.shard}.deaf")
    ahead = Ahead(workers, waits=f"exec <&-; touch {deaf}; exec sleep 20")
    with ahead.spare:
        ahead.begin()
        while not deaf.exists():
            time.sleep(0.02)
        assert ahead.facts(ahead.mine) == [FIRST, DONE]
    assert ahead.shards_given == [str(workers.shard)]


def test_a_spare_worker_that_nobody_needed_does_not_outlive_its_run(workers: Workers):
    ahead = Ahead(workers)
    with ahead.spare:
        ahead.begin()
        assert _is_alive(int(ahead.pid.read_text()))
    assert not _is_alive(int(ahead.pid.read_text()))


def test_the_spare_worker_is_started_when_the_machine_has_been_timed(workers: Workers):
    ahead = Ahead(workers)
    workers.script.write_text(f"#!/bin/sh\n{write(FIRST)}\nsleep 0.2\n{write(ENVIRONMENT)}\nsleep 0.2\n")
    with ahead.spare:
        was_started = [
            (type(fact), ahead.spare.was_started)
            for fact in facts_of_worker(workers.shard, ahead.mine, 30, ahead.spare)
        ]
    assert was_started == [(Began, False), (Environment, True)]


def test_only_new_facts_are_passed_on_in_order(workers: Workers):
    workers.run(write(FIRST), "sleep 0.1", write(CALL, DONE))
    assert workers.seen == [FIRST, CALL, DONE]


def test_a_torn_line_waits_for_its_rest(workers: Workers):
    line = to_line(CALL)
    workers.run(
        f"printf '%s' '{line[:9]}' >> $4", "sleep 0.2", f"printf '%s' '{line[9:]}' >> $4", write(DONE)
    )
    assert workers.seen == [CALL, DONE]


def test_a_shard_that_is_removed_meanwhile_ends_the_worker_with_one_clear_error(workers: Workers):
    with pytest.raises(AttnbenchError, match=r"shard\.jsonl is gone: it was removed while"):
        workers.run("echo $$ > $4.pid", write(FIRST), "rm $4", "exec sleep 20")
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path(f"{workers.shard}.pid").read_text()), 0)


def test_what_a_worker_says_in_another_encoding_is_told_as_far_as_it_can_be_read(workers: Workers):
    assert str(workers.end_of("printf 'b\\344d\\n'", "exit 9")).endswith("status 9: b\ufffdd")


def test_a_step_that_takes_too_long_ends_the_worker(workers: Workers):
    began = time.monotonic()
    end = workers.end_of("echo $$ > $4.pid", write(FIRST, CALL), "exec sleep 20", timeout_s=0.3)
    assert time.monotonic() - began < 10
    assert (end.outcome, end.at_work, end.from_outside) == ("timed_out", CALL, False)
    assert str(end) == "its first call took longer than 0.3 s"
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path(f"{workers.shard}.pid").read_text()), 0)


def test_each_step_has_the_whole_timeout(workers: Workers):
    steps = [f"sleep 0.4\n{write(CALL)}" for _ in range(4)]
    workers.run(write(FIRST), *steps, write(DONE), timeout_s=1.3)
    assert workers.seen == [FIRST, *[CALL] * 4, DONE]


def test_a_start_may_take_longer_than_a_step_but_not_for_ever(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
):
    workers.run("sleep 0.4", write(FIRST), timeout_s=0.2)
    monkeypatch.setattr(process, "LONGEST_START_S", 0.2)
    end = workers.end_of("exec sleep 20")
    assert (str(end), end.at_work) == ("starting took longer than 0.2 s", None)


def test_a_worker_that_has_begun_is_given_no_more_than_a_step_takes(workers: Workers):
    end = workers.end_of(write(FIRST), "exec sleep 20", timeout_s=0.3)
    assert (str(end), end.at_work) == ("a silence lasted longer than 0.3 s", None)


def test_a_worker_that_fails_says_its_status_and_last_words(workers: Workers):
    end = workers.end_of(write(FIRST, CALL), "echo Traceback", "echo 'ValueError: bang' >&2", "exit 9")
    assert str(end) == "the worker process ended with status 9: ValueError: bang"
    assert (end.outcome, end.returncode, end.at_work) == ("crashed", 9, CALL)
    assert workers.seen == [FIRST, CALL]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            [
                "Traceback (most recent call last):",
                "  File x, line 7",
                "CUDA error: no kernel",
                "Compile with x",
            ],
            "CUDA error: no kernel",
        ),
        (
            ["terminate called after throwing", "  what():  CUDA error: no kernel", "frame #0: abort"],
            "CUDA error: no kernel",
        ),
        (["Traceback (most recent call last):", "  File x", "KeyError: 1", "", "OSError: 2"], "KeyError: 1"),
        (["one", "two"], "two"),
    ],
)
def test_its_last_words_are_what_was_raised_and_not_what_stands_below(
    workers: Workers, said: list[str], words: str
):
    end = workers.end_of(write(FIRST, CALL), *(f"echo '{line}' >&2" for line in said), "exit 1")
    assert str(end) == f"the worker process ended with status 1: {words}"


def test_a_step_is_over_when_the_next_fact_arrives(workers: Workers):
    assert workers.end_of(write(CALL, FIRST), "exit 9").at_work is None


@pytest.mark.parametrize(
    ("name", "outside"),
    [(name, True) for name in ("KILL", "TERM", "HUP", "INT", "USR1", "USR2", "XCPU")]
    + [(name, False) for name in ("SEGV", "ABRT", "BUS", "FPE", "ILL")],
)
def test_a_kill_comes_from_outside_and_a_fault_from_within(workers: Workers, name: str, outside: bool):
    end = workers.end_of(f"kill -{name} $$")
    assert str(end) == f"the worker process was ended by SIG{name}: without a word"
    assert end.from_outside is outside


def test_a_kill_that_the_kernel_counts_as_one_for_memory_is_no_crash(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
):
    counts = iter([3, 4])
    monkeypatch.setattr(process, "processes_killed_for_memory", lambda: next(counts))
    end = workers.end_of(write(CALL), "kill -KILL $$")
    assert (end.outcome, end.at_work, end.from_outside) == ("out_of_memory", CALL, False)
    assert str(end) == "its control group had no memory left, and the kernel ended the worker process"


def test_a_status_that_looks_like_a_kill_does_not_come_from_outside(workers: Workers):
    assert not workers.end_of("exit 9").from_outside


def test_a_step_that_needs_patience_has_more_time(workers: Workers):
    patient = Started(1, "its first call", patience=40)
    workers.run(write(FIRST, patient), "sleep 0.6", write(DONE), timeout_s=0.1)
    assert workers.seen == [FIRST, patient, DONE]
    end = workers.end_of(write(replace(patient, patience=2)), "sleep 9", timeout_s=0.1)
    assert str(end) == "its first call took longer than 0.2 s"


def test_compilation_takes_as_many_processes_as_it_is_given():
    given = [variables(4, KEPT, Path("x"), *compilers) for compilers in ((), (7,))]
    assert [each["TORCHINDUCTOR_COMPILE_THREADS"] for each in given] == ["1", "7"]


def test_threads_are_set_before_the_worker_starts(workers: Workers, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    workers.run("echo $OMP_NUM_THREADS $MKL_NUM_THREADS > $4.threads", threads=3)
    assert Path(f"{workers.shard}.threads").read_text() == "3 3\n"


def test_a_worker_keeps_its_pages_unless_the_system_is_to_have_them(monkeypatch: pytest.MonkeyPatch):
    for name in KEEP_FREED_MEMORY:
        monkeypatch.delenv(name, raising=False)
    assert variables(1, KEPT, Path("x")).items() >= KEEP_FREED_MEMORY.items()
    assert not variables(1, SYSTEM, Path("x")).keys() & KEEP_FREED_MEMORY.keys()


def test_a_users_own_allocator_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "9")
    assert variables(1, KEPT, Path("x"))["MALLOC_MMAP_MAX_"] == "9"


def test_what_workers_compile_goes_where_it_was_asked_to(workers: Workers):
    workers.run("echo $TORCHINDUCTOR_CACHE_DIR > $4.compiled")
    assert Path(f"{workers.shard}.compiled").read_text() == "compiled\n"


def test_an_interrupt_of_the_terminal_does_not_reach_a_worker(workers: Workers):
    workers.run("ps -o pgid= -p $$ > $4.group", "echo $$ > $4.pid")
    group, pid = (int(Path(f"{workers.shard}.{name}").read_text()) for name in ("group", "pid"))
    assert group == pid != os.getpgid(0)


def test_a_worker_can_tell_that_its_parent_lives(workers: Workers):
    workers.run("timeout 0.3 cat > /dev/null", "echo $? > $4.cat")
    assert Path(f"{workers.shard}.cat").read_text() == "124\n"


def test_a_worker_does_not_outlive_the_reading_of_its_facts(workers: Workers):
    workers.script.write_text(f"#!/bin/sh\necho $$ > $4.pid\n{write(FIRST)}\nexec sleep 20\n")
    workers.script.chmod(0o755)
    following = facts_of_worker(workers.shard, {}, 30)
    assert next(following) == FIRST
    following.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path(f"{workers.shard}.pid").read_text()), 0)


def test_a_worker_that_ends_well_within_a_step_has_been_ended_by_it(workers: Workers):
    end = workers.end_of(write(FIRST, CALL), "exit 0")
    assert (end.outcome, end.at_work, end.returncode) == ("crashed", CALL, 0)
    assert str(end).startswith("the worker process ended with status 0")


def test_what_a_worker_has_started_does_not_outlive_it(workers: Workers):
    workers.run("sleep 30 & echo $! > $4.child", write(DONE))
    child = int(Path(f"{workers.shard}.child").read_text())
    for _ in range(100):
        if not _is_alive(child):
            break
        time.sleep(0.02)
    assert not _is_alive(child)


def _is_alive(process_id: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
