"""What Slurm's commands answer, and what it means."""

from collections.abc import Callable
from subprocess import CompletedProcess, TimeoutExpired

import pytest

from attnbench.cluster import slurm
from attnbench.cluster.slurm import JobState, NoAnswer, Node

Answers = Callable[[str], None]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Have every command print this."""

    def say(text: str) -> None:
        done = CompletedProcess((), 0, stdout=text, stderr="")
        monkeypatch.setattr(slurm, "_run", lambda *_, **__: done)

    return say


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (TimeoutExpired("squeue", 60), "squeue said nothing in 60 s"),
        (FileNotFoundError(), "there is no squeue here"),
    ],
)
def test_a_command_that_does_not_answer_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
):
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(slurm, "_run", fails)
    with pytest.raises(NoAnswer, match=says):
        slurm.members(["a"])


@pytest.mark.parametrize("printed", ["100\n", "100;cluster\n"])
def test_a_job_has_its_number_on_whichever_cluster(answers: Answers, printed: str):
    answers(printed)
    assert slurm.submit("script", []) == "100"


def test_of_a_job_that_was_queued_again_an_earlier_end_does_not_count(answers: Answers):
    answers("a|0|PENDING|Priority\na|0|NODE_FAIL|None\na|1|COMPLETED|None\na|[2-9]|PENDING|None\n")
    assert slurm.members(["a"]) == {
        ("a", 0): JobState("PENDING", "Priority"),
        ("a", 1): JobState("COMPLETED"),
    }


def test_nodes_are_those_of_the_usual_partition_unless_another_is_named(answers: Answers):
    answers("many*|2:32:2|(null)|icelake,ib\ngpu|2:8:1|gpu:4|(null)\n")
    usual = Node("2:32:2", "", frozenset({"icelake", "ib"}))
    assert slurm.nodes("") == [usual]
    assert slurm.nodes("gpu") == [usual, Node("2:8:1", "gpu:4", frozenset())]  # as many as sinfo prints then
    assert usual.words == "2:32:2 cores, with ib, icelake"


@pytest.mark.parametrize("word", ["RUNNING", "COMPLETING", "CONFIGURING"])
def test_a_job_that_has_its_node_is_running(word: str):
    assert (JobState(word).is_running, JobState(word).is_final) == (True, False)


@pytest.mark.parametrize("word", ["BOOT_FAIL", "NODE_FAIL", "PREEMPTED", "REVOKED", "DEADLINE"])
def test_a_job_that_slurm_has_ended_is_not_waited_for(word: str):
    assert (JobState(word).is_running, JobState(word).is_final) == (False, True)


@pytest.mark.parametrize(
    ("code", "reason"),
    [("0:0", ""), ("3:0", "exit status 3"), ("0:9", "signal 9"), ("1:9", "signal 9"), ("0:125", "")],
)
def test_how_a_job_ended_is_told_by_status_or_signal(answers: Answers, code: str, reason: str):
    answers(f"FAILED|{code}|00:20:00\n")
    assert slurm.ended("100", 0) == JobState("FAILED", reason)
