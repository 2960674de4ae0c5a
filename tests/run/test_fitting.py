"""Whether layers find memory and how many images fill it, as a worker says that stands in for one."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from attnbench.cases.case import Block, Mode, Workload
from attnbench.machine import system
from attnbench.machine.cuda import Cuda
from attnbench.mechanism import Geometry
from attnbench.records.journal import Fact, Failed, Fitted
from attnbench.run import runner
from attnbench.run.fitting import fill, shortages
from attnbench.run.plan import Setup
from tests.fakes import changed
from tests.shards import CASES, ENVIRONMENT, HILO, MSA, PROTOCOL, Workers, counted, fitted

SETUP = Setup((), PROTOCOL)
OPEN = Block(CASES, threads=3, is_open=True)
TOO_LARGE = Failed(1, "out_of_memory", "it needs 9 GiB")


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    monkeypatch.setattr(system, "available_memory_bytes", lambda: 8 * MSA.workload.guessed_bytes)
    workers = Workers()
    monkeypatch.setattr(runner, "facts_of_worker", workers)
    return workers


def asked(workers: Workers, *facts: Fact, batch: int) -> Mapping[str, str]:
    workers.next = [[ENVIRONMENT, counted(0), *facts]]
    cases = [changed(each, batch=batch) for each in (MSA, HILO)]
    return shortages(cases, SETUP)


def test_a_layer_without_room_is_told_by_its_label(workers: Workers):
    assert asked(workers, TOO_LARGE, batch=3) == {"hilo": "out of memory: it needs 9 GiB"}


@pytest.mark.parametrize("fact", [counted(1), Failed(1, "unsupported", "too square")])
def test_a_layer_with_room_or_another_fault_is_not_told(workers: Workers, fact: Fact):
    assert asked(workers, fact, batch=3) == {}


def test_small_layers_are_not_worth_a_worker(workers: Workers):
    assert asked(workers, TOO_LARGE, batch=2) == {}
    assert workers.started == 0


def test_a_layer_is_large_by_the_memory_of_its_own_device(workers: Workers, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Cuda, "free_bytes", lambda _: 7 * MSA.workload.guessed_bytes)
    assert shortages([MSA], SETUP) == {}
    assert workers.started == 0
    shortages([changed(MSA, device="cuda")], SETUP)
    assert workers.started == 1


def test_a_guess_is_what_attention_between_all_tokens_holds():
    n, c, h = 6, 8, 2
    workload = replace(MSA.workload, geometry=Geometry(c, h, 2, 3), batch=5)
    assert workload.guessed_bytes == 4 * (5 * (32 * n * c + 2 * h * n**2) + 32 * c**2)


def test_a_model_is_taken_for_one_of_some_layers_on_patches():
    model = Workload(Geometry.image(224, 220), 5, Mode.inference)
    layer = Workload(Geometry(768, 12, 14, 14), 5, Mode.inference)
    assert model.guessed_bytes == layer.guessed_bytes


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
