"""Which arrays of jobs are submitted for the blocks of a run, and what Slurm is told of them."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attnbench.cluster import slurm, submission
from attnbench.cluster.site import Site
from attnbench.cluster.slurm import JobState
from attnbench.cluster.submission import Submission, end_of, states, submissions, submit
from attnbench.records.parts import BLOCKS, End

Sent = list[tuple[str, list[str]]]
SITE = Site({"time": "20", "mem": "4G", "partition": "whole", "account": "us", "gres": "gpu:1"})


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Scripts and options that Slurm was given; the first job is 100, and an array has two at most."""
    given: Sent = []

    def take(script: str, options: Sequence[str]) -> str:
        given.append((script, list(options)))
        return f"{99 + len(given)}"

    monkeypatch.setattr(slurm, "submit", take)
    monkeypatch.setattr(submission, "MOST_MEMBERS", 2)
    return given


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "my run" / BLOCKS).mkdir(parents=True)
    return tmp_path / "my run"


def submitted(run: Path, blocks: int, site: Site = SITE, **how: int | None) -> list[Submission]:
    """What becomes of so many blocks that nobody has counted."""
    size = SimpleNamespace(is_open=False)
    some: list[Any] = [SimpleNamespace(key=f"b{n}", is_priced=False, request=size) for n in range(blocks)]
    return submit(run, some, site, **{"threads": None, "at_most": None} | how)


def said(sent: Sent, name: str) -> list[str]:
    """What each array is told by the option of this name."""
    return [word for _, options in sent for word in options if word.startswith(f"--{name}=")]


def test_each_block_is_in_one_array_and_arrays_are_no_longer_than_slurm_takes(run: Path, sent: Sent):
    made = submitted(run, 5)
    assert [one.parts for one in made] == [("b0", "b1"), ("b2", "b3"), ("b4",)]
    assert said(sent, "array") == ["--array=0-1", "--array=0-1", "--array=0-0"]
    assert said(sent, "job-name") == [f"--job-name={one.name}" for one in made]
    assert submissions(run) == made
    assert [one.job for one in made] == ["100", "101", "102"]


def test_arrays_of_which_so_many_jobs_run_at_once_wait_for_each_other(run: Path, sent: Sent):
    submitted(run, 5, at_most=1)
    assert said(sent, "array") == ["--array=0-1%1", "--array=0-1%1", "--array=0-0%1"]
    assert said(sent, "dependency") == ["--dependency=afterany:100", "--dependency=afterany:101"]


def test_arrays_without_a_limit_wait_for_nothing(run: Path, sent: Sent):
    submitted(run, 5)
    assert said(sent, "dependency") == []


def test_jobs_that_count_are_cheap_and_all_of_them_come_first(run: Path, sent: Sent):
    submitted(run, 3, Site(SITE.options, counts="cheap"))
    counting, measuring = sent[:2], sent[2:]
    assert said(counting, "array") == ["--array=0-1", "--array=0-0"]
    assert said(counting, "partition") == ["--partition=cheap"] * 2
    assert said(counting, "account") + said(counting, "time") == ["--account=us"] * 2 + ["--time=20"] * 2
    assert said(counting, "gres") == said(counting, "mem") == []
    assert said(measuring, "dependency") == ["--dependency=afterany:100:101"] * 2


def test_what_a_site_says_counts_more_than_what_is_usual(run: Path, sent: Sent):
    submitted(run, 1)
    assert said(sent, "mem") == ["--mem=4G"]


@pytest.mark.parametrize(
    ("shared", "told"),
    [(False, ["--exclusive", "--mem=0"]), (True, ["--cpus-per-task=3"])],
)
def test_a_job_has_a_node_or_as_many_cores_as_threads(run: Path, sent: Sent, shared: bool, told: list[str]):
    submitted(run, 1, Site({}, shared=shared), threads=3)
    (_, options) = sent[0]
    names = ("--exclusive", "--mem", "--cpus-per-task")
    assert [word for word in options if word.startswith(names)] == told


def test_a_script_sets_up_what_its_site_says_and_becomes_the_job(run: Path, sent: Sent):
    (one,) = submitted(run, 1, Site({}, python="/opt/my python", setup=("module load a", "ulimit -c 0")))
    file = run / BLOCKS / f"submitted-{one.token}.json"
    assert sent[0][0].splitlines() == [
        *("#!/bin/sh", "module load a", "ulimit -c 0"),
        f"exec '/opt/my python' -P -m attnbench.cluster.job '{file}' \"$SLURM_ARRAY_TASK_ID\"",
    ]


def test_how_a_job_ended_is_told_with_the_last_words_of_its_own_log(
    run: Path, sent: Sent, monkeypatch: pytest.MonkeyPatch
):
    (one,) = submitted(run, 2)
    monkeypatch.setattr(slurm, "ended", lambda job, index: JobState("FAILED", f"status of {job}_{index}"))
    (log,) = said(sent, "output")
    for index, words in enumerate(["first\nlast", "another"]):
        Path(log.removeprefix("--output=").replace("%a", f"{index}")).write_text(words)
    assert end_of(run, one, 0) == End(one.token, "FAILED", "status of 100_0: last")
    assert end_of(run, one, 1) == End(one.token, "FAILED", "status of 100_1: another")


def test_a_job_without_a_number_is_forgotten(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(slurm, "ended", None)
    assert end_of(run, Submission("0001abc", ("b0",)), 0) == End("0001abc", slurm.FORGOTTEN, "")


def test_a_block_is_as_the_newest_of_its_jobs_is(monkeypatch: pytest.MonkeyPatch):
    old, new = Submission("0001a", ("b0", "b1")), Submission("0002b", ("b1",))
    told = {(old.name, 0): JobState("RUNNING"), (old.name, 1): JobState("FAILED")}
    told[new.name, 0] = JobState("PENDING")
    monkeypatch.setattr(slurm, "members", lambda names: told if names == [old.name, new.name] else {})
    assert states([old, new]) == {
        "b0": (old, 0, JobState("RUNNING")),
        "b1": (new, 0, JobState("PENDING")),
    }
