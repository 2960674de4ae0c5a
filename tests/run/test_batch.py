"""Blocks whose batch is open get as many images as fit all of their members."""

import pytest

from attnbench.cases.case import Block
from attnbench.records.journal import Failed, Fitted
from attnbench.run import runner
from attnbench.run.batch import fill
from attnbench.run.plan import Setup
from tests.shards import CASES, PROTOCOL, Workers, fitted

SETUP = Setup((), PROTOCOL)
OPEN = Block(CASES, threads=3, is_open=True)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    workers = Workers()
    monkeypatch.setattr(runner, "facts_of_worker", workers)
    return workers


def batches(block: Block) -> set[int]:
    return {case.workload.batch for case in block.cases if case.role != "ceiling"}


def test_the_smallest_of_the_largest_batches_is_for_all_and_says_why(workers: Workers):
    workers.next = [[fitted(0, 32), Fitted(1, 16, "32 of HiLo need too much")]]
    (block,) = fill([OPEN], SETUP)
    assert batches(block) == {16}
    assert block.batch_note == (
        "batch 16 is the largest power of two with which all layers fit: 32 of HiLo need too much"
    )
    assert (workers.jobs[0].task, workers.jobs[0].threads) == ("fit", 3)
    assert [case.role for case in workers.jobs[0].cases] == ["member", "member"]


def test_a_layer_that_fits_in_no_batch_or_fails_does_not_count(workers: Workers):
    workers.next = [[fitted(0, 32), fitted(1, 0)], [Failed(0, "unsupported", "no"), fitted(1, 64)]]
    assert [batches(block) for block in fill([OPEN, OPEN], SETUP)] == [{32}, {64}]


def test_where_none_fits_each_is_asked_with_one_image(workers: Workers):
    workers.next = [[fitted(0, 0), fitted(1, 0)]]
    (block,) = fill([OPEN], SETUP)
    assert batches(block) == {1}
    assert block.batch_note.startswith("batch 1, because no layer fits")


def test_a_block_whose_batch_was_asked_for_stays_and_is_not_measured_twice(workers: Workers):
    asked = OPEN.filled(8, "")
    assert fill([asked], SETUP) == [asked]
    assert workers.jobs == []
    assert fill([asked, OPEN], SETUP) == [asked]
    other = Block(asked.cases, threads=1)
    assert len(fill([other, OPEN], SETUP)) == 2
