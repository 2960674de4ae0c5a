"""Counting as ordinary jobs, before whole nodes are asked for, with a Slurm made of one file."""

from collections import Counter
from pathlib import Path

import pytest

from attnbench.run import runner
from tests.cluster.fake import FakeSlurm, rows
from tests.conftest import Run
from tests.shards import Workers

ON = ("--on", "slurm:partition=whole,gres=gpu:1,time=20,counts=cheap", "--device", "cpu", "--detach")


@pytest.fixture
def workers(slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> Workers:
    monkeypatch.setattr(runner, "facts_of_worker", found := Workers())
    return found


def test_ordinary_jobs_count_before_those_that_measure(slurm: FakeSlurm, command: Run):
    assert "Submitted 3 blocks of 3 as job 101 of Slurm's, and counted in partition cheap" in command(*ON).out
    counting, measuring = ({*array["options"]} for array in slurm.arrays)
    assert {"--array=0-2", "--partition=cheap", "--time=20"} <= counting
    assert not {"--exclusive", "--mem=0", "--gres=gpu:1"} & counting
    assert {"--partition=whole", "--exclusive", "--dependency=afterany:100"} <= measuring


def test_what_they_find_is_taken_by_the_jobs_that_measure(
    slurm: FakeSlurm, command: Run, attnbench: Run, workers: Workers
):
    command(*ON)
    assert {*slurm.work_off()} == {0}
    assert Counter(told.task for told in workers.jobs) == {"price": 3, "count": 3, "measure": 6}
    assert len(workers.given) == 3 * 2
    attnbench("collect", "run")
    assert len(rows()) == 15
    assert list(Path("run").rglob("priced*")) == []


def test_a_block_that_nobody_counted_counts_by_itself_and_is_not_asked_for_twice_where_somebody_did(
    slurm: FakeSlurm, command: Run, workers: Workers
):
    command(*ON)
    jobs = slurm.work_off()
    next(jobs)
    for index in (1, 2):
        slurm.put(0, index, "OUT_OF_MEMORY")
    for index in range(3):
        slurm.put(1, index, "CANCELLED")
    command(*ON)
    assert [len(array["states"]) for array in slurm.arrays] == [3, 3, 2, 3]
    for index in range(2):
        slurm.put(2, index, "CANCELLED")
    assert {*slurm.work_off()} == {0}
    assert Counter(told.task for told in workers.jobs) == {"price": 1, "count": 3, "measure": 6}


def test_a_batch_that_is_to_be_found_is_not_counted_before(slurm: FakeSlurm, command: Run):
    command(*ON, "--batch", "max")
    assert [len(array["states"]) for array in slurm.arrays] == [3, 6]


def test_cancel_ends_counting_too(slurm: FakeSlurm, command: Run):
    command(*ON)
    command("--cancel")
    assert slurm.waiting == []
