"""Whole models, and batches that a node's memory decides, as jobs of a Slurm made of one file."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attnbench.cases.case import Block
from attnbench.cluster import job
from attnbench.run import runner
from attnbench.run.plan import Setup
from tests.cluster.fake import EFFORT, SIZES, FakeSlurm, Killed, part, rows
from tests.conftest import Run
from tests.fakes import changed, record
from tests.shards import CASES, PROTOCOL, Workers

BACKBONE = Path(__file__).parents[1] / "tiny_backbone.py"


@pytest.mark.parametrize(
    ("word", "rows_of"),
    [("litv2-s/hilo", {False: 15, True: 4}), ("litv2-*", {False: 15, True: 6}), ("@models", None)],
)
def test_models_have_images_beside_layers_that_have_tokens(
    slurm: FakeSlurm, command: Run, attnbench: Run, word: str, rows_of: dict[bool, int] | None
):
    assert "Submitted 4 blocks of 4" in command(word, "--detach").out
    assert {*slurm.work_off()} == {0}
    attnbench("collect", "run")
    kinds = Counter(row.case.workload.geometry.images for row in rows())
    assert kinds == rows_of if rows_of else kinds[True] > 6


def test_where_models_are_all_that_is_asked_for_there_is_no_block_of_tokens(slurm: FakeSlurm, attnbench: Run):
    words = ("run", "litv2-s/hilo", "--res", "32,64", "--threads", "1", *EFFORT, "--out", "run")
    assert "Submitted 2 blocks of 2" in attnbench(*words, "--on", "slurm", "--detach").out
    assert {*slurm.work_off()} == {0}


def test_a_model_that_only_a_job_knows_for_one_is_refused_by_it(slurm: FakeSlurm, attnbench: Run):
    words = ("run", str(BACKBONE), *SIZES, *EFFORT, "--out", "run")
    attnbench(*words, "--on", "slurm", "--detach")
    assert {*slurm.work_off()} == {job.REFUSED}
    assert "is a whole model, which nobody knows by a file" in part().refusal


def test_as_many_images_as_fit_is_what_the_job_finds(slurm: FakeSlurm, command: Run, attnbench: Run):
    command("--batch", "max", "--detach")
    assert part(1).request.name == "cpu 2x2 batch max, 1 thread"
    assert {*slurm.work_off()} == {0}
    attnbench("collect", "run")
    members = [row for row in rows() if row.case.role == "member"]
    assert Counter(row.case.workload.batch for row in members) == {1: 6, 8: 6}
    assert {bool(row.batch_note) for row in members if row.case.workload.batch == 8} == {True}


@pytest.mark.parametrize(("node", "kept"), [("a", True), ("b", False)])
def test_a_batch_that_was_found_holds_on_the_node_that_found_it(
    monkeypatch: pytest.MonkeyPatch, node: str, kept: bool
):
    before = changed(record(batch_note="16 do not fit"), batch=8, node="a")
    anew = Block(CASES, is_open=True).filled(2, "found anew")
    monkeypatch.setattr(job, "fill", lambda blocks, setup: [anew])
    earlier: Any = SimpleNamespace(planned=[before])
    found = job.filled(Block(CASES, is_open=True), Setup((), PROTOCOL, node=node), earlier)
    batches = {case.workload.batch for case in found.members}
    assert (batches, found.batch_note) == (({8}, "16 do not fit") if kept else ({2}, "found anew"))


def test_a_job_goes_on_with_the_batch_that_the_one_before_found(
    slurm: FakeSlurm, command: Run, monkeypatch: pytest.MonkeyPatch
):
    command("--batch", "max", "--detach")
    jobs = slurm.work_off()
    assert next(jobs) == 0
    monkeypatch.setattr(runner, "facts_of_worker", Killed())
    with pytest.raises(KeyboardInterrupt):
        next(jobs)
    slurm.put(0, 1, "PENDING", "BeginTime")
    monkeypatch.setattr(runner, "facts_of_worker", workers := Workers())
    next(slurm.work_off())
    assert "fit" not in {told.task for told in workers.jobs}
    assert part(1).is_finished
