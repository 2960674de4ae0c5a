"""Whether there is memory for layers, as a worker says that stands in for one."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from attnbench.cases.case import Mode, Workload
from attnbench.machine import system
from attnbench.mechanism import Geometry
from attnbench.records.journal import Fact, Failed
from attnbench.run import runner
from attnbench.run.plan import Setup
from attnbench.run.room import shortages
from tests.fakes import changed
from tests.shards import ENVIRONMENT, HILO, MSA, PROTOCOL, Workers, counted

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
    return shortages(cases, Setup((), PROTOCOL))


def test_a_layer_without_room_is_told_by_its_label(workers: Workers):
    assert asked(workers, TOO_LARGE, batch=3) == {"hilo": "out of memory: it needs 9 GiB"}


@pytest.mark.parametrize("fact", [counted(1), Failed(1, "unsupported", "too square")])
def test_a_layer_with_room_or_another_fault_is_not_told(workers: Workers, fact: Fact):
    assert asked(workers, fact, batch=3) == {}


def test_small_layers_are_not_worth_a_worker(workers: Workers):
    assert asked(workers, TOO_LARGE, batch=2) == {}
    assert workers.started == 0


def test_a_guess_is_what_attention_between_all_tokens_holds():
    n, c, h = 6, 8, 2
    workload = replace(MSA.workload, geometry=Geometry(c, h, 2, 3), batch=5)
    assert workload.guessed_bytes == 4 * (5 * (32 * n * c + 2 * h * n**2) + 32 * c**2)


def test_a_model_is_taken_for_one_of_some_layers_on_patches():
    model = Workload(Geometry.image(224, 220), 5, Mode.inference)
    layer = Workload(Geometry(768, 12, 14, 14), 5, Mode.inference)
    assert model.guessed_bytes == layer.guessed_bytes
