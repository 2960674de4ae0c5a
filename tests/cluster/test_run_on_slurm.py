"""`attnbench run --on slurm` and `attnbench collect`, with a Slurm made of one file and pretended workers."""

import json
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from attnbench.cluster import job
from attnbench.cluster.standing import Phase, in_words, standings
from attnbench.cluster.submission import submissions
from attnbench.errors import AttnbenchError
from attnbench.machine.node import Allocation, fingerprint
from attnbench.records.folder import held, salt
from attnbench.records.parts import End, Part, parts
from attnbench.records.record_file import read
from attnbench.run import runner
from attnbench.run.block_records import rows_to_be
from tests.cluster.fake import EFFORT, SIZES, SLEEP, WHOLE, WORDS, FakeSlurm, Killed, part, rows
from tests.conftest import Run
from tests.shards import Workers


def test_a_block_is_a_job_and_becomes_rows_when_it_is_collected(
    slurm: FakeSlurm, command: Run, attnbench: Run
):
    assert "Submitted 3 blocks of 3 as job 100" in command("--detach").out
    assert list(slurm.work_off()) == [0, 0, 0]
    assert rows() == ()
    assert "3 blocks: 3 done. 15 new in run/records.jsonl." in attnbench("collect", "run").out
    assert Counter(row.case.workload.geometry.height for row in rows()) == {2: 5, 4: 5, 6: 5}
    assert all(row.complete and row.conditions.allocation == WHOLE for row in rows())
    assert not any((each.run.exists(), each.done.exists()) != (False, False) for each in parts(Path("run")))


def test_jobs_have_whole_nodes_and_what_the_site_says(slurm: FakeSlurm, command: Run):
    command("--detach", "--at-most", "2")
    (array,) = slurm.arrays
    whole = {"--exclusive", "--nodes=1", "--mem=0", "--requeue"}
    assert whole | {"--array=0-2%2", "--time=20"} <= {*array["options"]}


def test_the_same_command_submits_nothing_twice(slurm: FakeSlurm, command: Run):
    command("--detach")
    again = command("--detach")
    assert len(slurm.arrays) == 1
    assert "Already in run or on their way: 3 blocks." in again.out


def test_a_submitter_that_was_killed_before_it_knew_the_number_submits_nothing_twice(
    slurm: FakeSlurm, command: Run
):
    command("--detach")
    (path,) = Path("run/blocks").glob("submitted-*.json")
    told = json.loads(path.read_text())
    del told["job"]
    path.write_text(json.dumps(told))
    command("--detach")
    assert len(slurm.arrays) == 1


def test_what_ended_early_is_submitted_again_alone_and_loses_no_sample(slurm: FakeSlurm, command: Run):
    command("--detach")
    jobs = slurm.work_off()
    assert next(jobs) == 0
    slurm.put(0, 1, "CANCELLED")
    slurm.put(0, 2, "NODE_FAIL")
    assert "Submitted 2 blocks of 3" in command("--detach").out
    assert [len(array["states"]) for array in slurm.arrays] == [3, 2]
    assert list(slurm.work_off()) == [0, 0]
    assert command().status == 0
    assert Counter(row.case.workload.geometry.height for row in rows()) == {2: 5, 4: 5, 6: 5}


def test_what_slurm_has_forgotten_was_not_finished_and_is_submitted_again(slurm: FakeSlurm, command: Run):
    command("--detach")
    slurm.forget()
    assert "Submitted 3 blocks of 3" in command("--detach").out


def test_a_command_that_waits_ends_with_the_table(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(SLEEP, lambda _: next(slurm.work_off(), None))
    done = command()
    assert done.status == 0
    assert "3 blocks: 3 waiting (Resources)" in done.out
    assert "6 rows in run/records.jsonl" in done.out
    assert not Path("run/plan.json").exists()


def test_what_a_job_left_is_looked_for_again_before_it_is_said_to_have_ended_early(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    """A file system that others write to may know of it only then."""

    def look_again(part: Part) -> Part:
        fresh.add(part.key)
        return part

    command("--detach")
    slurm.forget()
    fresh: set[str] = set()
    monkeypatch.setattr(Part, "looked_at_again", look_again)
    monkeypatch.setattr(Part, "is_finished", property(lambda part: part.key in fresh))
    assert [each.phase for each in standings(Path("run"), parts(Path("run")))] == [Phase.done] * 3


def test_how_a_job_ended_is_noted_before_slurm_forgets_it(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    def forget(job: int, index: int) -> None:
        slurm.forget()
        slurm.put(job, index, "PENDING")

    steps = iter(
        [
            partial(slurm.put, 0, 0, "OUT_OF_MEMORY"),
            partial(forget, 0, 1),
            partial(slurm.put, 0, 1, "CANCELLED", "Priority"),
        ]
    )
    monkeypatch.setattr(SLEEP, lambda _: next(steps)())
    assert command().status == 4
    assert [in_words(end) for end in part(0).ends] == ["OUT_OF_MEMORY"]
    assert [in_words(end) for end in part(1).ends] == ["CANCELLED"]


def test_the_last_words_of_a_job_are_its_own_and_not_slurms(slurm: FakeSlurm, command: Run):
    command("--detach")
    (one,) = submissions(Path("run"))
    log = Path(f"run/blocks/logs/{one.token}-0.txt")
    log.write_text("MemoryError\nslurmstepd-n1: error: *** JOB 6 ON n1 CANCELLED ***\nsrun: error: n1\n")
    slurm.put(0, 0, "FAILED")
    command("--detach")
    assert [in_words(end) for end in part(0).ends] == ["FAILED, MemoryError"]


def test_what_changes_nothing_that_is_told_is_not_told_again(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    others = iter(["Priority"])

    def go_on(_: float) -> None:
        if other := next(others, None):
            slurm.put(0, 2, "PENDING", other)
        else:
            next(slurm.work_off(), None)

    monkeypatch.setattr(SLEEP, go_on)
    assert command().out.count("3 blocks: 3 waiting") == 1


def test_a_dead_job_is_known_at_the_next_question_and_told_with_slurms_reason(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    def end(_: float) -> None:
        for index in range(3):
            slurm.put(0, index, "TIMEOUT", "TimeLimit", "0:15")

    monkeypatch.setattr(SLEEP, end)
    done = command()
    assert done.status == 4
    assert done.out.count("its job ended early: TIMEOUT, time limit 00:20:00") == 3
    assert "What is left is submitted again by the same command." in done.out


@pytest.mark.parametrize(
    ("accounts", "says"),
    [
        ("TIMEOUT|0:0|00:01:00", "TIMEOUT, time limit 00:01:00"),
        ("OUT_OF_MEMORY|0:125|00:20:00", "OUT_OF_MEMORY"),
        ("CANCELLED by 0|0:15|00:20:00", "CANCELLED, by 0, signal 15"),
        ("RUNNING|0:0|00:20:00", "NODE_FAIL, exit status 1"),  # it lags behind the controller
    ],
)
def test_where_accounting_answers_it_says_how_a_job_ended(
    slurm: FakeSlurm, command: Run, accounts: str, says: str
):
    (slurm.folder / "accounts").write_text(accounts)
    command("--detach")
    for index in range(3):
        slurm.put(0, index, "NODE_FAIL", "None", "1:0")
    command("--detach")
    assert [in_words(end) for end in part().ends] == [says]


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("TIMEOUT", "timed_out"), ("OUT_OF_MEMORY", "out_of_memory"), ("FAILED", "crashed")],
)
def test_what_ends_three_jobs_by_its_own_fault_is_a_row_with_slurms_reason(
    slurm: FakeSlurm, command: Run, attnbench: Run, state: str, outcome: str
):
    for number in range(3):
        command("--detach")
        planned_and_killed(number)
        for _, index in slurm.waiting:
            slurm.put(number, index, state if number == 2 else "FAILED", "None", "0:9")
    assert "3 blocks: 3 done. " in attnbench("collect", "run").out
    members = [row for row in rows() if row.case.role == "member"]
    assert [row.outcome for row in members] == [outcome] * 6
    says = f"3 jobs of Slurm's ended before it was measured: {state}"
    assert all(row.complete and says in (row.reason or "") for row in members)
    command("--detach")
    assert len(slurm.arrays) == 3


def planned_and_killed(number: int) -> None:
    """Let each job of an array come as far as counting."""
    told = submissions(Path("run"))[number]
    for key in told.parts:
        each = Part(Path("run/blocks") / key)
        block, setup = job.understood(each, WHOLE, shared=False)
        each.plan(rows_to_be(block, setup))


def test_jobs_that_are_cancelled_or_preempted_are_never_given_up(slurm: FakeSlurm, command: Run):
    for number in range(5):
        command("--detach")
        planned_and_killed(number)
        for _, index in slurm.waiting:
            slurm.put(number, index, "PREEMPTED")
    assert rows() == ()
    assert "Submitted 3 blocks of 3" in command("--detach").out


def test_a_block_that_gets_further_in_each_job_is_not_given_up(tmp_path: Path):
    found = Part(tmp_path / "blocks" / "key")
    found.run.mkdir(parents=True)
    shard = found.run / "shard-1.jsonl"
    for number in range(5):
        shard.write_bytes(b'{"fact": "Timed"}\n' * (number + 1))
        found.note(End(f"{number}", "TIMEOUT", ""))
    assert found.tries == 0
    found.note(End("5", "TIMEOUT", ""))
    found.note(End("5", "TIMEOUT", ""))
    assert found.tries == 1


def test_a_word_that_means_nothing_is_told_once_and_can_be_mended(slurm: FakeSlurm, attnbench: Run):
    words = ("run", "hlio", *SIZES, *EFFORT, "--out", "run", "--on", "slurm")
    attnbench(*words, "--detach")
    assert set(slurm.work_off()) == {job.REFUSED}
    done = attnbench("collect", "run")
    assert "3 refused" in done.out
    again = attnbench(*words, "--detach")
    assert "Submitted 3 blocks of 3" in again.out


def test_a_job_measures_what_was_asked_for_on_its_own_node(slurm: FakeSlurm, command: Run):
    asked = ("--memory-limit", "2GiB", "--baseline", "hilo", "--mode", "training", "--threads", "2")
    command("--detach", *asked)
    found = {each: job.understood(each, WHOLE, shared=False) for each in parts(Path("run"))}
    assert {(part.request.threads, block.threads) for part, (block, _) in found.items()} == {(1, 1), (2, 2)}
    block, setup = next(iter(found.values()))
    assert [case.label for case in block.cases if case.role == "twin"] == ["hilo"]
    assert {case.workload.mode for case in block.members} == {"training"}
    assert (setup.memory_limit_bytes, setup.allocation) == (2 * 2**30, WHOLE)
    assert setup.node == fingerprint(salt(Path("run")))


def test_a_job_without_the_device_that_was_asked_for_is_refused(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("attnbench.machine.cuda.Cuda.absent", lambda _: "There is no CUDA device here.")
    command("--detach", "--device", "cuda")
    assert Counter(slurm.work_off()) == {0: 3, job.REFUSED: 3}
    refused = [each for each in parts(Path("run")) if each.refusal]
    assert {(each.request.device, each.refusal) for each in refused} == {
        ("cuda", "There is no CUDA device here.")
    }


def test_a_job_that_runs_again_after_its_end_measures_nothing(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    command("--detach")
    assert next(slurm.work_off()) == 0
    monkeypatch.setattr(runner, "facts_of_worker", None)
    assert job.main(slurm.submission(0), 0) == 0


def test_a_job_that_shares_its_node_is_refused_unless_the_site_says_so(
    slurm: FakeSlurm, command: Run, attnbench: Run, monkeypatch: pytest.MonkeyPatch
):
    some = Allocation((0,), 8, exclusive=False)
    monkeypatch.setattr(job, "allocation", lambda: some)
    command("--detach")
    assert set(slurm.work_off()) == {job.REFUSED}
    assert "some of the 8 cores of its node" in part().refusal
    words = ("run", "msa", *SIZES, *EFFORT, "--out", "other", "--on", "slurm:shared=yes")
    attnbench(*words, "--detach")
    assert list(slurm.work_off())[-3:] == [0, 0, 0]
    attnbench("collect", "other")
    assert {row.conditions.allocation for row in read(Path("other")).records} == {some}


def test_a_job_with_fewer_cores_than_threads_is_refused(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(job, "allocation", lambda: Allocation((0,), 1, exclusive=True))
    command("--detach", "--threads", "2")
    assert list(slurm.work_off()) == [0, job.REFUSED] * 3
    assert "1 of its node's cores, and --threads asks for 2" in part(1).refusal


def test_each_number_of_threads_is_a_job_of_its_own(slurm: FakeSlurm, command: Run, attnbench: Run):
    assert "Submitted 6 blocks of 6" in command("--detach", "--threads", "2").out
    assert {*slurm.work_off()} == {0}
    attnbench("collect", "run")
    assert Counter(row.conditions.threads for row in rows()) == {1: 15, 2: 15}


def test_a_job_that_shares_its_node_gets_a_core_for_each_of_its_threads(slurm: FakeSlurm, attnbench: Run):
    attnbench("run", *WORDS[:-1], "slurm:shared=yes", "--threads", "2", "--detach")
    (array,) = slurm.arrays
    assert "--cpus-per-task=2" in array["options"]


def test_autocast_goes_along(slurm: FakeSlurm, command: Run, attnbench: Run):
    command("--detach", "--autocast", "bfloat16")
    assert {*slurm.work_off()} == {0}
    attnbench("collect", "run")
    members = [row.case for row in rows() if row.case.role == "member"]
    assert Counter(case.variant.computed for case in members) == {"float32": 6, "bfloat16": 6}


def test_a_worker_that_cannot_begin_is_the_jobs_trouble_and_no_mistake(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: object) -> object:
        raise AttnbenchError("A worker could not begin: no.")

    monkeypatch.setattr(runner, "survey", fails)
    command("--detach")
    assert set(slurm.work_off()) == {job.TROUBLED}
    assert part().refusal == ""


def test_a_job_goes_on_where_the_one_before_was_killed(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    command("--detach", "--sessions", "2")
    monkeypatch.setattr(runner, "facts_of_worker", Killed())
    with pytest.raises(KeyboardInterrupt):
        next(slurm.work_off())
    assert part().samples == 7
    slurm.put(0, 0, "PENDING", "BeginTime")
    monkeypatch.setattr(runner, "facts_of_worker", Workers())
    assert set(slurm.work_off()) == {0}
    command("--sessions", "2")
    mine = [row for row in rows() if row.case.workload.geometry.height == 2]
    assert sum(len(row.samples) for row in mine) == 7 + 2 * 25
    taken = [(row.key, each.session, each.round, each.position) for row in mine for each in row.samples]
    assert len(taken) == len(set(taken))


def test_ctrl_c_leaves_the_jobs_and_says_how_to_come_back(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SLEEP, interrupt)
    done = command()
    assert done.status == 130
    assert "`attnbench collect run`, comes back; --cancel ends them." in done.out
    assert len(slurm.waiting) == 3


def test_cancel_ends_the_jobs_of_the_command(slurm: FakeSlurm, command: Run):
    command("--detach")
    assert "are cancelled" in command("--cancel").out
    assert slurm.waiting == []
    assert "Submitted 3 blocks of 3" in command("--detach").out


@pytest.mark.parametrize("word", ["--cancel", "--fresh"])
def test_jobs_are_not_said_to_be_cancelled_while_slurm_does_not_answer(
    slurm: FakeSlurm, command: Run, word: str
):
    command("--detach")
    (slurm.folder / "down").touch()
    done = command("--detach", word)
    assert (done.status, "The jobs of run may go on" in " ".join(done.err.split())) == (2, True)
    assert ("are cancelled" in done.out, len(submissions(Path("run")))) == (False, 1)


def test_starting_over_measures_everything_again(slurm: FakeSlurm, command: Run):
    command("--detach")
    list(slurm.work_off())
    command()
    assert "the earlier rows are in" in command("--detach", "--fresh").out
    assert [len(array["states"]) for array in slurm.arrays] == [3, 3]
    assert rows() == ()


def test_where_slurm_is_installed_and_no_cluster_is_it_says_where_to_go(slurm: FakeSlurm, command: Run):
    (slurm.folder / "refusal").write_text("sbatch: fatal: Could not establish a configuration source")
    assert "run the command on a login node" in " ".join(command("--detach").err.split())


def test_a_size_that_is_named_twice_is_one_block(slurm: FakeSlurm, command: Run):
    assert "Submitted 3 blocks of 3" in command("--detach", "--res", "4,2").out


def test_what_slurm_refuses_is_said_in_its_words_and_leaves_nothing_behind(slurm: FakeSlurm, command: Run):
    (slurm.folder / "refusal").write_text(
        "sbatch: warning: no account is named\nsbatch: error: invalid partition specified: gpu"
    )
    done = command("--detach")
    assert done.status == 2
    said = " ".join(done.err.split())
    assert "Slurm did not take the jobs: invalid partition specified: gpu. `sinfo` shows what this" in said
    assert submissions(Path("run")) == []


def test_a_controller_that_is_too_busy_to_take_jobs_is_told_and_leaves_nothing_behind(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("attnbench.cluster.slurm.ANSWER_S", 1e-6)
    done = command("--detach")
    assert (done.status, "whether it took the jobs" in " ".join(done.err.split())) == (2, True)
    assert submissions(Path("run")) == []


def test_nothing_is_submitted_while_slurm_does_not_answer(slurm: FakeSlurm, command: Run):
    command("--detach")
    (slurm.folder / "down").touch()
    done = command("--detach")
    assert (done.status, "Slurm does not answer" in done.err) == (2, True)


def test_what_is_finished_is_collected_where_there_is_no_slurm(
    slurm: FakeSlurm, command: Run, attnbench: Run
):
    command("--detach")
    next(slurm.work_off())
    for number in (1, 2):
        part(number).run.mkdir()
    (slurm.folder / "down").touch()
    assert "3 blocks: 2 running, 1 done. 5 new" in attnbench("collect", "run").out
    assert len(rows()) == 5


def test_collecting_that_was_killed_before_it_cleaned_up_doubles_no_row(
    slurm: FakeSlurm, command: Run, attnbench: Run
):
    command("--detach")
    list(slurm.work_off())
    content = b"".join((each.done / "records.jsonl").read_bytes() for each in parts(Path("run")))
    Path("run/records.jsonl").write_bytes(content)
    assert "0 new" in attnbench("collect", "run").out
    assert len(rows()) == 15


def test_who_submits_waits_for_who_collects_but_not_for_ever(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    command("--detach")
    monkeypatch.setattr("attnbench.cli.cluster.PATIENCE_S", 0.0)
    with held(Path("run")):
        done = command("--detach")
    assert "is in use by" in done.err


def test_runs_say_how_many_blocks_are_done(slurm: FakeSlurm, command: Run, attnbench: Run):
    command("--detach")
    next(slurm.work_off())
    attnbench("collect", "run")
    (line,) = json.loads(attnbench("runs", ".", "--format", "json").out)["runs"]
    assert (line["complete"], line["blocks"], line["blocks_done"]) == (False, 3, 1)
    assert Path("run/plan.json").exists()
    assert "1/3 blocks" in " ".join(attnbench("runs", ".").out.split())


def test_a_mechanism_file_that_changes_is_another_block(slurm: FakeSlurm, attnbench: Run, tmp_path: Path):
    (tmp_path / "mine.py").write_text("one")
    words = ("run", "mine.py", "msa", *SIZES, *EFFORT, "--out", "run", "--on", "slurm", "--detach")
    attnbench(*words)
    (tmp_path / "mine.py").write_text("other")
    assert "Submitted 3 blocks of 3" in attnbench(*words).out


def test_a_login_node_without_torch_submits_and_collects(slurm: FakeSlurm, command: Run):
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['attnbench', *sys.argv[1:]]\n"
        "from attnbench.cli import main; main()"
    )
    login = [sys.executable, "-c", code, "run", *WORDS]
    submitted = subprocess.run([*login, "--detach"], capture_output=True, text=True, check=True)
    assert "Submitted 3 blocks of 3" in submitted.stdout
    list(slurm.work_off())
    done = subprocess.run(login, capture_output=True, text=True, check=True)
    assert "6 rows in run/records.jsonl" in done.stdout


@pytest.mark.parametrize(
    ("on", "says"),
    [
        ("pbs", "it must be slurm"),
        ("slurms", "it must be slurm"),
        ("slurm:partition", "'partition' has no value"),
        ("slurm:array=0-3", "array is attnbench's own to set"),
        ("slurm:job_name=mine", "job_name is attnbench's own to set"),
        ("slurm:dependency=singleton", "dependency is attnbench's own to set"),
        ("slurm:mem!=4G", "'mem!' is no long option of sbatch"),
        ("slurm:poll=0.5", "at least 1"),
        ("slurm:shared=maybe", "it must be yes or no"),
        ("none.toml", "cannot be read"),
    ],
)
def test_what_a_cluster_cannot_be_told_is_a_mistake(attnbench: Run, slurm: FakeSlurm, on: str, says: str):
    done = attnbench("run", "msa", "--on", on)
    assert (done.status, says in " ".join(done.err.split())) == (2, True)


@pytest.mark.parametrize("word", ["--detach", "--cancel"])
def test_jobs_are_spoken_of_on_a_cluster_alone(attnbench: Run, word: str):
    assert "add --on" in attnbench("run", "msa", word).err
