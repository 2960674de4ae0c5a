"""What one worker does with a layer."""

import errno
import io
import json
import math
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, UnsupportedGeometry, attention
from attnbench.attention import KERNELS, Kernel, explicit, use_kernel
from attnbench.cases.case import Case, Mode
from attnbench.cases.protocol import Protocol
from attnbench.cases.registry import Registry, discover
from attnbench.cases.sweep import sweep
from attnbench.cases.variant import PLAIN, Variant
from attnbench.errors import InvalidSetting
from attnbench.machine import system
from attnbench.machine.clock import Clock, Reading, WallClock
from attnbench.machine.cpu import Cpu
from attnbench.machine.cuda import Cuda
from attnbench.machine.devices import DEVICES
from attnbench.measuring import counting, layers, preflight, timing, worker
from attnbench.measuring import session as session_module
from attnbench.measuring.attendance import CEILING_EVERY
from attnbench.measuring.cost import Count
from attnbench.measuring.energy import Spent, kept_busy
from attnbench.measuring.journal_writer import DiskFailed, JournalWriter, ProcessSpent, failure_as_fact
from attnbench.measuring.layers import Data, WrongOutput, build, check_results, make_call, make_data
from attnbench.measuring.prediction import predicted_peak_bytes
from attnbench.measuring.surroundings import Surroundings
from attnbench.measuring.timing import Member, Pace, Turn
from attnbench.measuring.worker import set_up_torch, work
from attnbench.records import journal
from attnbench.records.block_state import BlockState
from attnbench.records.journal import (
    Allocated,
    Attended,
    Began,
    Checked,
    Counted,
    Ended,
    Environment,
    Fact,
    Failed,
    Job,
    Powered,
    Predicted,
    Priced,
    PutRight,
    Referenced,
    Started,
    Timed,
    Uncounted,
    Warmed,
)
from attnbench.records.record import Check, Energy, Sample, Warmup
from tests import own_fused
from tests.fake_cuda import installed
from tests.fakes import FakeClock, changed
from tests.shards import ENVIRONMENT, allocated, session

PROTOCOL = Protocol(
    sessions=2, precision=100, max_seconds=60, least_warmup_s=0, most_warmup_s=0, min_sample_s=0.001, seed=5
)


RETURNS_A_PAIR = (
    "returns a tuple of 2; return the tokens alone, or say in its Mechanism which they are: output=0"
)
READY = (ENVIRONMENT, allocated(0), allocated(1))
"""What stands in a shard when its memory is measured."""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def cases(
    registry: Registry,
    *texts: str,
    kernel: str = "explicit",
    dtype: str = "float32",
    mode: Mode = Mode.inference,
) -> tuple[Case, ...]:
    """The members of a block, and their twin and ceilings."""
    choices = [registry.choose(text) for text in texts]
    variants = [Variant(kernel, dtype)]
    (block,) = sweep(choices, [Geometry(8, 2, 2, 3)], ["cpu"], batches=[3], modes=[mode], variants=variants)
    return block.cases


def worked(shard: Path, *before: Fact) -> list[Fact]:
    """What a worker adds to a shard of these facts."""
    journal.save(shard, before)
    with shard.open("a") as file:
        work(shard, JournalWriter(file))
    return journal.read(shard)[len(before) :]


def job(task: str, members: Sequence[Case], **changes: object) -> Job:
    now = "2026-01-01T00:00:00+00:00"
    return Job(task, tuple(members), (), 1, replace(PROTOCOL, **changes), now)  # type: ignore[arg-type]


def test_under_autocast_the_output_alone_may_be_small(registry: Registry, tmp_path: Path):
    asked = job("count", cases(registry, "msa", dtype="autocast-bfloat16")[:1])
    (counted,) = (fact for fact in worked(tmp_path / "shard", asked) if isinstance(fact, Counted))
    params, tokens = 4 * 8 * 8 + 4 * 8, 3 * 6 * 8
    assert counted.cost.least_bytes == 4 * (params + tokens) + 2 * tokens


def test_a_session_times_autocast_beside_the_matmul_of_its_format(registry: Registry, tmp_path: Path):
    block = cases(registry, "msa", dtype="autocast-bfloat16")
    assert [case.variant.dtype for case in block[-2:]] == ["bfloat16", "bfloat16"]
    measuring = job("measure", block)
    counted = worked(tmp_path / "counts", job("count", block))
    said = worked(tmp_path / "shard", measuring, counted[0])
    assert [fact for fact in said if isinstance(fact, Failed)] == []
    (checked,) = (fact for fact in said if isinstance(fact, Checked))
    assert 1e-4 < (checked.check.relative_error or 0) < 2e-2


def test_a_worker_that_counts_says_what_each_case_needs_and_costs(registry: Registry, tmp_path: Path):
    environment, *said = worked(
        tmp_path / "shard", job("count", [cases(registry, "msa")[0], *cases(registry, "msa")[-2:]])
    )
    assert isinstance(environment, Environment)
    assert environment.macs_per_s > 1e6
    assert environment.flags["threads"] == "1"
    began, predicting, predicted, counting, msa, matmul, copy = said
    assert (began, predicting, counting) == (
        Began(0),
        Started(0, "the prediction of its memory"),
        Started(0, "its count"),
    )
    assert isinstance(predicted, Predicted)
    assert isinstance(msa, Counted)
    assert isinstance(matmul, Counted)
    assert isinstance(copy, Counted)
    params, macs = 4 * 8 * 8 + 4 * 8, 4 * 6 * 8 * 8 + 2 * 6 * 6 * 8
    assert (msa.cost.params, msa.cost.macs, msa.macs_closed_form) == (params, macs, macs)
    assert msa.cost.least_bytes == 4 * (params + 2 * 3 * 6 * 8)
    assert (matmul.case, copy.case, copy.cost.macs) == (1, 2, 0)


def test_a_device_that_is_not_the_host_has_a_matmul_rate_of_its_own(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(DEVICES, "meta", Elsewhere())
    monkeypatch.setattr(worker, "emulated", lambda _: {"emulated.float16": "9"})
    here, *_ = cases(registry, "msa")
    environment, *_ = worked(tmp_path / "shard", job("count", [here, replace(here, device="meta")]))
    assert isinstance(environment, Environment)
    assert environment.flags["emulated.float16"] == "9"
    assert environment.rates.keys() == {"meta"}
    assert environment.rate("meta") > 10 * environment.rate("cpu")


@pytest.mark.parametrize(("on_host", "side"), [(True, 768), (False, 48)])
def test_a_matmul_rate_is_that_of_the_best_of_three_by_the_wall_clock(
    monkeypatch: pytest.MonkeyPatch, on_host: bool, side: int
):
    class Wall:
        seconds = iter([1.5, 0.75, 2.25])

        def time(self, call: Callable[[], object], calls: int) -> Reading:
            assert calls == 3
            return Reading(next(self.seconds))

    monkeypatch.setattr(Cpu, "clocks", lambda _: (None, Wall()))
    monkeypatch.setattr(Cpu, "on_host", on_host)
    monkeypatch.setattr(Cpu, "matmul_side", lambda *_: 96)
    assert worker.matmul_rate("cpu", 1) == side**3 / 0.25


def test_heads_that_do_not_divide_the_channels_are_a_refusal_of_the_mechanism(
    registry: Registry, tmp_path: Path
):
    msa, van, *_ = (changed(case, geometry=Geometry(8, 3, 2, 3)) for case in cases(registry, "msa", "van"))
    said = worked(tmp_path / "shard", job("count", [msa, van]))
    refusal = "3 heads do not divide 8 channels; choose --heads so that they do."
    assert [fact for fact in said if isinstance(fact, Failed)] == [Failed(0, "unsupported", refusal)]
    assert [fact.case for fact in said if isinstance(fact, Counted)] == [1]


def test_a_worker_goes_on_counting_where_another_one_stopped(registry: Registry, tmp_path: Path):
    msa, hilo, *_ = cases(registry, "msa", "hilo")
    failed = Failed(0, "crashed", "bang")
    said = worked(tmp_path / "shard", job("count", [msa, hilo]), ENVIRONMENT, failed)
    assert {fact.case for fact in said if isinstance(fact, Started | Counted)} == {1}


def test_what_is_priced_on_one_machine_is_neither_predicted_nor_counted_on_another(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    members = cases(registry, "msa", "hilo")[:2]
    here = needs_and_costs(worked(tmp_path / "here", job("count", members)))
    priced = [fact for fact in worked(tmp_path / "there", job("price", members)) if isinstance(fact, Priced)]
    for name in ("predicted_bytes", "_cost"):
        monkeypatch.setattr(counting, name, lambda *_, **__: pytest.fail("it is known"))
    assert needs_and_costs(worked(tmp_path / "again", job("count", members), *priced)) == here
    assert len(here) == 4


def test_what_could_not_be_predicted_elsewhere_is_predicted_here(registry: Registry, tmp_path: Path):
    members = cases(registry, "msa")[:1]
    here = needs_and_costs(worked(tmp_path / "here", job("count", members)))
    (priced,) = (
        fact for fact in worked(tmp_path / "there", job("price", members)) if isinstance(fact, Priced)
    )
    unknown = replace(priced, predicted_bytes=None)
    assert needs_and_costs(worked(tmp_path / "again", job("count", members), unknown)) == here


def needs_and_costs(facts: Sequence[Fact]) -> list[object]:
    """What is predicted and counted of each case, whatever is free at that moment."""
    return [
        (fact.case, fact.prediction.predicted_bytes) if isinstance(fact, Predicted) else fact
        for fact in facts
        if isinstance(fact, Predicted | Counted)
    ]


def test_a_layer_that_cannot_be_priced_is_left_to_who_counts_it(registry: Registry, tmp_path: Path):
    said = worked(tmp_path / "shard", job("price", cases(registry, "hilo:alpha=2", "msa")[:2]))
    assert [fact.case for fact in said if isinstance(fact, Priced)] == [1]
    assert [fact.case for fact in said if isinstance(fact, Failed)] == [0]


def test_a_training_step_moves_a_gradient_with_each_number(registry: Registry, tmp_path: Path):
    msa, *_ = cases(registry, "msa")
    said = worked(tmp_path / "shard", job("count", [msa, changed(msa, mode=Mode.training)]))
    inference, training = (fact for fact in said if isinstance(fact, Counted))
    assert training.cost.least_bytes == 2 * inference.cost.least_bytes
    assert training.cost.macs == inference.cost.macs


def test_what_differs_in_batch_and_mode_alone_is_counted_once(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    counted_labels = []

    def spy(state: BlockState, registry: Registry, index: int, **how: object) -> Count:
        counted_labels.append(state.job.cases[index].label)
        return Count(1, 1, 7, {}, ())

    monkeypatch.setattr(counting, "_cost", spy)
    msa, hilo, *_ = cases(registry, "msa", "hilo")
    alike = [msa, changed(msa, batch=9), changed(msa, mode=Mode.training)]
    other = [hilo, changed(msa, geometry=Geometry(8, 2, 3, 3)), replace(msa, variant=Variant("fused"))]
    worked(tmp_path / "shard", job("count", [*alike, *other]))
    assert counted_labels == ["msa", "hilo", "msa", "msa"]


def test_a_case_over_the_limit_of_memory_is_refused_and_says_what_it_needs(
    registry: Registry, tmp_path: Path
):
    asked = replace(job("count", cases(registry, "msa")[:1]), memory_limit_bytes=1000)
    said = worked(tmp_path / "shard", asked)
    (predicted,) = (fact for fact in said if isinstance(fact, Predicted))
    assert predicted.prediction.available_bytes == 1000
    assert predicted.prediction.predicted_bytes is not None
    assert predicted.prediction.predicted_bytes > 1000
    assert [fact.outcome for fact in said if isinstance(fact, Failed)] == ["out_of_memory"]


@pytest.mark.parametrize(
    ("limit", "need"), [(2 * 3 * 6 * 8 * 4, None), (2 * 3 * 6 * 8 * 4 - 1, 2 * 3 * 6 * 8 * 4)]
)
def test_a_prediction_that_fails_is_none_that_fits_where_the_tokens_alone_do_not(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, need: int | None
):
    monkeypatch.setattr(counting, "predicted_bytes", lambda *case: None)
    asked = replace(job("count", cases(registry, "msa")[:1]), memory_limit_bytes=limit)
    said = worked(tmp_path / "shard", asked)
    (predicted,) = (fact for fact in said if isinstance(fact, Predicted))
    assert predicted.prediction.predicted_bytes == need
    assert [fact.outcome for fact in said if isinstance(fact, Failed)] == ["out_of_memory"] * (
        need is not None
    )


def test_training_is_predicted_to_need_more_than_inference(registry: Registry, tmp_path: Path):
    msa, *_ = cases(registry, "msa")
    said = worked(tmp_path / "shard", job("count", [msa, changed(msa, mode=Mode.training)]))
    inference, training = (fact.prediction.predicted_bytes for fact in said if isinstance(fact, Predicted))
    assert inference is not None
    assert training is not None
    assert training > inference


class Elsewhere(Cpu):
    """A device that is not the CPU, and on which tensors take no memory."""

    name = "meta"
    on_host = False


def test_the_memory_of_a_case_is_predicted_on_its_own_device(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(DEVICES, "meta", Elsewhere())
    here = changed(cases(registry, "performer:features=64")[0], batch=16)
    said = worked(tmp_path / "shard", job("count", [here, replace(here, device="meta")]))
    few_by_few, at_once = (fact.prediction.predicted_bytes for fact in said if isinstance(fact, Predicted))
    assert few_by_few is not None
    assert at_once is not None
    assert at_once > 1.5 * few_by_few


def test_a_count_that_fails_is_tried_again_in_a_process_without_a_prediction(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **how: object) -> None:
        raise ValueError("a fake tensor was kept")

    monkeypatch.setattr(counting, "_cost", fail)
    msa, hilo, *_ = cases(registry, "msa", "hilo")
    start = job("count", [msa, hilo])
    with pytest.raises(ProcessSpent):
        worked(tmp_path / "first", start)
    first = journal.read(tmp_path / "first")[1:]
    assert first[-1] == Started(0, "its count")
    with pytest.raises(ProcessSpent):
        worked(tmp_path / "second", start, *first)
    second = journal.read(tmp_path / "second")[1 + len(first) :]
    assert second[2:4] == [Started(0, "its count"), Uncounted(0, "ValueError: a fake tensor was kept", 2112)]
    assert second[-1] == Started(1, "its count")


def test_a_case_that_will_not_fit_is_counted_all_the_same(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(counting, "predicted_bytes", lambda *case: case[3] * 2**30)
    monkeypatch.setattr(system, "available_memory_bytes", lambda: 5 * 2**29)
    said = worked(tmp_path / "shard", job("count", cases(registry, "msa")[:1]))
    assert isinstance(said[-1], Counted)
    assert said[-3] == Failed(0, "out_of_memory", "it needs 3.0 GiB by prediction, and 2.5 GiB are available")


def test_a_convolution_that_will_not_fit_even_alone_is_counted_without_memory(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(counting, "predicted_bytes", lambda *case: case[3] * 2**30)
    monkeypatch.setattr(system, "available_memory_bytes", lambda: 2**29)
    said = worked(tmp_path / "shard", job("count", cases(registry, "van")[:1]))
    closed_form = registry["van"].closed_form(Geometry(8, 2, 2, 3))
    (counted,) = (fact for fact in said if isinstance(fact, Counted))
    assert counted.cost.macs == closed_form


def test_what_looks_at_values_and_will_not_fit_even_alone_is_not_counted(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(counting, "predicted_bytes", lambda *case: case[3] * 2**30)
    monkeypatch.setattr(system, "available_memory_bytes", lambda: 2**29)
    monkeypatch.setattr(counting, "count_on_meta", lambda *_, **__: None)
    said = worked(tmp_path / "shard", job("count", cases(registry, "van")[:1]))
    closed_form = registry["van"].closed_form(Geometry(8, 2, 2, 3))
    assert said[-1] == Uncounted(0, "one image needs 1.0 GiB", closed_form)


def test_the_worker_after_the_first_session_measures_the_memory_of_the_members(
    registry: Registry, tmp_path: Path
):
    start = job("measure", cases(registry, "msa", "hilo"))
    said = worked(tmp_path / "shard", start, ENVIRONMENT, *session(0, range(5)), allocated(0))
    (memory,) = (fact for fact in said if isinstance(fact, Allocated))
    assert memory.case == 1
    assert memory.memory is not None
    assert memory.memory.peak_bytes >= 3 * 4 * 3 * 6 * 8
    assert not any(isinstance(fact, Warmed | Timed | Ended) for fact in said)


def test_a_layer_that_fails_while_its_memory_is_measured_is_not_timed(registry: Registry, tmp_path: Path):
    broken = replace(cases(registry, "msa")[0], settings={"no": "such setting"})
    said = worked(tmp_path / "shard", job("measure", [broken]), ENVIRONMENT, *session(0, [0]))
    assert [fact.outcome for fact in said if isinstance(fact, Failed)] == ["crashed"]


def test_a_layer_that_fails_before_it_is_examined_is_in_no_process_that_times(
    registry: Registry, tmp_path: Path
):
    msa, *_ = cases(registry, "msa")
    asked = job("measure", [msa, replace(msa, settings={"no": "such setting"})])
    with pytest.raises(ProcessSpent):
        worked(tmp_path / "first", asked, ENVIRONMENT)
    first = journal.read(tmp_path / "first")
    assert [fact.case for fact in first if isinstance(fact, Failed)] == [1]
    assert not any(isinstance(fact, Timed) for fact in first)
    said = worked(tmp_path / "second", *first)
    assert {fact.case for fact in said if isinstance(fact, Timed)} == {0}


def test_a_layer_that_fails_once_it_is_examined_costs_the_others_no_process(
    registry: Registry, tmp_path: Path
):
    msa, *_ = cases(registry, "msa")
    asked = job("measure", [msa, replace(msa, settings={"no": "such setting"})])
    said = worked(tmp_path / "shard", asked, *READY)
    assert [fact.case for fact in said if isinstance(fact, Failed)] == [1]
    assert {fact.case for fact in said if isinstance(fact, Timed)} == {0}


def test_a_session_in_which_nothing_is_left_has_seen_nothing(registry: Registry, tmp_path: Path):
    broken = replace(cases(registry, "msa")[0], settings={"no": "such setting"})
    said = worked(tmp_path / "shard", job("measure", [broken]), *READY[:2])
    assert [type(fact) for fact in said] == [Began, Started, Failed]


def test_a_worker_that_times_does_one_session(registry: Registry, tmp_path: Path):
    start = job("measure", cases(registry, "msa", "hilo"))
    said = worked(tmp_path / "shard", start, *READY, *session(0, range(5)))
    assert said[0] == Began(1)
    assert [fact.case for fact in said if isinstance(fact, Warmed)] == [0, 1, 2, 3, 4]
    timed = [fact for fact in said if isinstance(fact, Timed)]
    assert {(fact.case, fact.sample.session, fact.sample.round) for fact in timed} == {
        (case, 1, number)
        for case in range(5)
        for number in range(5)
        if case < 3 or number % CEILING_EVERY == 0
    }
    assert len(timed) == 3 * 5 + 2 * 2
    assert isinstance(said[-1], Ended)
    assert (said[-1].witness.session, said[-1].witness.device) == (1, "cpu")


def test_each_sample_is_announced(registry: Registry, tmp_path: Path):
    said = worked(tmp_path / "shard", job("measure", cases(registry, "msa")[:2]), *READY)
    samples = [(before, fact) for before, fact in pairwise(said) if isinstance(fact, Timed)]
    assert all(before == Started(fact.case, "a sample") for before, fact in samples)
    steps = [fact.step for fact in said if isinstance(fact, Started) and fact.case == 0]
    assert steps[:3] == ["its construction", "its first call", "its warm-up"]


def test_a_session_whose_time_is_over_ends_after_one_round(registry: Registry, tmp_path: Path):
    said = worked(
        tmp_path / "shard",
        job("measure", cases(registry, "msa")[:2], precision=1e-9, max_seconds=0),
        *READY,
    )
    assert {fact.sample.round for fact in said if isinstance(fact, Timed)} == {0}
    assert isinstance(said[-1], Ended)


def test_a_session_has_its_share_of_the_time_and_keeps_all_that_is_seen_of_a_sample(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    deadlines: list[float] = []

    def rounds(*_: object, deadline: float, **__: object) -> Iterator[Turn]:
        deadlines.append(deadline)
        yield Turn(0, 3, 2, is_last=True, seconds=0.5, wall_s=0.75, host_paced=True, paused=True)

    monkeypatch.setattr(session_module, "rounds", rounds)
    asked, before = job("measure", cases(registry, "msa", "hilo"), max_seconds=1000), time.perf_counter()
    said = worked(tmp_path / "shard", asked, *READY, Failed(0, "crashed", "it does"))
    (timed,) = (fact for fact in said if isinstance(fact, Timed))
    assert timed == Timed(1, Sample(0, 3, 2, 0.5, 0.75, True, paused=True))
    assert 1000 / 2 <= deadlines[0] - before < 1000 / 2 + 300


@pytest.mark.parametrize("on_host", [True, False])
def test_layers_are_warmed_up_by_the_wall_clock_for_their_share_of_a_tenth_of_the_time(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_host: bool
):
    clock, wall = WallClock(lambda: None), WallClock(lambda: None)
    shares: set[float] = set()
    firsts: list[float] = []

    def warm_up(_: object, by: Clock, protocol: Protocol, first_s: float) -> Pace:
        assert by is wall
        shares.add(protocol.most_warmup_s)
        firsts.append(first_s)
        return Pace(calls=7, seconds=1.5, per_call_s=0.0004, stable=True)

    monkeypatch.setattr(session_module, "warm_up", warm_up)
    monkeypatch.setattr(Cpu, "clocks", lambda _: (clock, wall))
    monkeypatch.setattr(Cpu, "on_host", on_host)
    members = cases(registry, "msa", "hilo")[:3]
    asked = job("measure", members, max_seconds=1000, most_warmup_s=1e9)
    said = worked(tmp_path / "shard", asked, *READY, Failed(0, "crashed", "it does"))
    assert shares == {0.1 * 1000 / 2 / 2}
    assert [first_s > 0 for first_s in firsts] == [on_host] * 2
    warmed = [fact for fact in said if isinstance(fact, Warmed)]
    assert warmed == [Warmed(index, Warmup(0, 7, 1.5, True, calls_per_sample=3)) for index in (1, 2)]


def test_layers_are_warmed_up_and_timed_with_the_kernel_of_their_case(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[Kernel] = []

    def warm_up(*_: object) -> Pace:
        seen.append(attention._kernel)
        return Pace(calls=7, seconds=1.5, per_call_s=0.0004, stable=True)

    def rounds(members: Sequence[Member], *_: object, **__: object) -> Iterator[Turn]:
        with members[0].around():
            seen.append(attention._kernel)
        return iter(())

    monkeypatch.setattr(session_module, "warm_up", warm_up)
    monkeypatch.setattr(session_module, "rounds", rounds)
    worked(tmp_path / "shard", job("measure", cases(registry, "msa", kernel="fused")[:1]), *READY[:2])
    assert seen == [KERNELS["fused"]] * 2


def test_what_was_put_right_once_makes_the_rest_of_a_session_suspicious(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first two answers are those of the warm-up: of one layer, and of all that are left."""
    looks: list[bool] = []
    changes = iter([[], [], ["a flag"], []])
    put_right = iter([[], ["another flag"], [], []])

    class Looking:
        def require_as_before(self, *, thorough: bool = False) -> list[str]:
            looks.append(thorough)
            return next(changes)

        def put_right(self) -> list[str]:
            return next(put_right)

    def rounds(*_: object, **__: object) -> Iterator[Turn]:
        for number in range(3):
            yield Turn(0, number, 0, True, 1.0, 1.0, False, False)

    monkeypatch.setattr(session_module, "Surroundings", Looking)
    monkeypatch.setattr(session_module, "rounds", rounds)
    asked = job("measure", cases(registry, "msa", "hilo")[:2])
    said = worked(tmp_path / "shard", asked, *READY, Failed(0, "crashed", "it does"))
    assert looks == [False, False, True, True]
    assert [fact for fact in said if isinstance(fact, PutRight)] == [PutRight(1, ("a flag",))]


def test_a_session_is_over_when_all_samples_together_are_precise(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[set[int]] = []

    def imprecise(state: BlockState) -> list[int]:
        seen.append({sample.session for sample in state.samples[0]})
        return []

    monkeypatch.setattr(session_module, "imprecise", imprecise)
    asked = job("measure", cases(registry, "msa")[:2])
    said = worked(tmp_path / "shard", asked, *READY, *session(0, range(2)))
    assert seen == [{0, 1}]
    assert max(fact.sample.round for fact in said if isinstance(fact, Timed)) == 4


def test_the_order_of_a_session_follows_from_seed_and_session(registry: Registry, tmp_path: Path):
    members = cases(registry, "msa", "hilo")
    again = session(0, range(3))

    def order(name: str, seed: int, *before: Fact) -> list[int]:
        said = worked(tmp_path / name, job("measure", members[:3], seed=seed), *READY, *before)
        return [fact.case for fact in said if isinstance(fact, Timed) and fact.sample.round < 3]

    first = order("first", 5)
    assert order("same", 5) == first
    assert order("other session", 5, *again) != first
    assert order("other seed", 6) != first


def test_what_failed_before_is_neither_built_nor_timed(registry: Registry, tmp_path: Path):
    failed = Failed(1, "crashed", "bang")
    said = worked(tmp_path / "shard", job("measure", cases(registry, "msa", "hilo")[:3]), *READY, failed)
    assert {fact.case for fact in said if isinstance(fact, Started | Timed | Warmed)} == {0, 2}


def test_weights_depend_on_the_seed_and_not_on_what_was_built_before(registry: Registry):
    msa, hilo, *_ = cases(registry, "msa", "hilo")
    first = build(registry, msa, 5).state_dict()
    build(registry, hilo, 5)
    again, other = build(registry, msa, 5).state_dict(), build(registry, msa, 6).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["qkv.weight"], other["qkv.weight"])


def test_layers_are_timed_in_eval_mode(registry: Registry):
    assert not build(registry, cases(registry, "msa")[0], 0).training


def test_inputs_are_several_random_batches_in_the_cases_dtype(registry: Registry):
    inputs = make_data(cases(registry, "msa", dtype="bfloat16")[0], 0).inputs
    assert len(inputs) > 1
    assert all(x.shape == (3, 6, 8) and x.dtype == torch.bfloat16 for x in inputs)
    assert not torch.equal(inputs[0], inputs[1])


def test_calls_rotate_over_the_inputs(registry: Registry):
    case = cases(registry, "msa")[0]
    data = Data(tuple(torch.full((3, 6, 8), float(number)) for number in range(3)), None)
    call = make_call(nn.Identity(), case, data)
    assert [float(call()[0, 0, 0]) for _ in range(4)] == [0, 1, 2, 0]


def test_a_training_call_takes_the_gradient_back_to_parameters_and_input(registry: Registry):
    (case, *_) = cases(registry, "msa", mode=Mode.training)
    layer, data = build(registry, case, 0), make_data(case, 0)
    assert data.gradient is not None
    seen: list[Tensor] = []
    layer.register_full_backward_hook(lambda _layer, to_input, _to_output: seen.extend(to_input))
    call = make_call(layer, case, data)
    call()
    first = {name: parameter.grad for name, parameter in layer.named_parameters()}
    assert layer.training
    assert all(gradient is not None and gradient.any() for gradient in first.values())
    torch.testing.assert_close(first["proj.bias"], data.gradient.sum((0, 1)))
    assert seen[0].any()
    assert all(x.grad is None for x in data.inputs)


def test_gradients_of_one_call_are_gone_at_the_next(registry: Registry):
    (case, *_) = cases(registry, "msa", mode=Mode.training)
    layer = build(registry, case, 0)
    call = make_call(layer, case, make_data(case, 0))
    call()
    once = layer.proj.bias.grad.clone()  # type: ignore[union-attr, operator]
    call()
    torch.testing.assert_close(layer.proj.bias.grad, once)  # type: ignore[union-attr]


def test_a_gradient_that_is_not_a_number_is_wrong(registry: Registry):
    (case, *_) = cases(registry, "msa", mode=Mode.training)
    layer = nn.Linear(8, 8)
    layer.weight.grad = torch.full((8, 8), torch.nan)
    with pytest.raises(WrongOutput, match="the gradient of weight holds NaN"):
        check_results(torch.zeros(3, 6, 8), layer, case)


def test_training_is_timed_with_gradients(registry: Registry, tmp_path: Path):
    members = cases(registry, "msa", mode=Mode.training)
    said = worked(tmp_path / "shard", job("measure", members), *READY)
    assert {fact.case for fact in said if isinstance(fact, Timed)} == {0, 1, 2, 3}
    assert not any(isinstance(fact, Failed) for fact in said)


def test_a_call_uses_the_kernel_of_its_case(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    used: list[str] = []

    def spy(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, masked: bool) -> Tensor:
        used.append("fused")
        return explicit(q, k, v, bias, masked=masked)

    spied: Kernel = spy
    monkeypatch.setitem(KERNELS, "fused", spied)
    for kernel in ("explicit", "fused"):
        case, *_ = cases(registry, "msa", kernel=kernel)
        make_call(build(registry, case, 0), case, make_data(case, 0))()
    assert used == ["fused"]


def test_threads_and_precision_are_fixed_and_told():
    before = torch.get_num_threads()
    flags = set_up_torch(1)
    torch.set_num_threads(before)
    assert flags["threads"] == "1"
    assert flags["cuda.matmul.allow_tf32"] == flags["cudnn.allow_tf32"] == "False"


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (torch.zeros(3, 6, 9), r"shape \(3, 6, 9\) instead of \(3, 6, 8\)"),
        (torch.zeros(3, 9), r"shape \(3, 9\) instead of .*; a model, .* needs layout='images'"),
        (torch.full((3, 6, 8), float("inf")), "NaN or infinite"),
        (
            torch.zeros(3, 6, 8, dtype=torch.float64),
            r"is torch\.float64, where the tokens are torch\.float32",
        ),
        (torch.zeros(3, 6, 8, dtype=torch.complex64), r"is torch\.complex64, where the tokens are"),
    ],
)
def test_a_wrong_output_is_refused(registry: Registry, output: Tensor, says: str):
    with pytest.raises(WrongOutput, match=says):
        check_results(output, nn.Identity(), cases(registry, "msa")[0])


ADVICE = """Search for `cudaErrorAssert' in https://docs.nvidia.com/cuda for more information.
CUDA kernel errors might be asynchronously reported at some other API call.
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."""


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (UnsupportedGeometry("too square"), "unsupported", "too square"),
        (InvalidSetting("alpha is 7"), "mistake", "alpha is 7"),
        (WrongOutput("NaN"), "wrong", "NaN"),
        (SystemExit(0), "crashed", "it ends its process: SystemExit(0)"),
        (MemoryError("too much"), "out_of_memory", "too much"),
        (torch.OutOfMemoryError("CUDA out of memory.\nA long story"), "out_of_memory", "CUDA out of memory."),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "out_of_memory",
         "RuntimeError: DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        (RuntimeError(f"CUDA error: out of memory\n{ADVICE}"), "out_of_memory",
         "RuntimeError: CUDA error: out of memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
         "out_of_memory",
         "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), "out_of_memory",
         "RuntimeError: cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        (RuntimeError("MPS backend out of memory"), "out_of_memory",
         "RuntimeError: MPS backend out of memory"),
        (RuntimeError(f"CUDA error: device-side assert triggered\n{ADVICE}\n"), "crashed",
         "RuntimeError: CUDA error: device-side assert triggered"),
        (ValueError("a table\nof two lines"), "crashed", "ValueError: a table\nof two lines"),
    ],
)  # fmt: skip
def test_a_failure_becomes_a_fact_and_ends_nothing(
    tmp_path: Path, error: BaseException, outcome: str, reason: str
):
    shard = tmp_path / "shard"
    with shard.open("a") as file, failure_as_fact(4, JournalWriter(file)):
        raise error
    assert placeless(shard) == Failed(4, outcome, reason)


def placeless(shard: Path) -> Failed:
    """The failure of a shard without the line of this file that raised it."""
    (failed,), _ = journal.news(shard, 0)
    assert isinstance(failed, Failed)
    return replace(failed, reason=re.sub(r" \(test_worker.py, line \d+\)$", "", failed.reason))


@pytest.mark.parametrize("variant", [PLAIN, Variant("flash")])
def test_a_failure_names_the_line_of_the_layer_that_raised_it(tmp_path: Path, variant: Variant):
    shard = tmp_path / "shard"
    with shard.open("a") as file, failure_as_fact(4, JournalWriter(file), variant):
        raise KeyError("gone")
    (failed,), _ = journal.news(shard, 0)
    assert isinstance(failed, Failed)
    assert re.fullmatch(r"KeyError: 'gone' \(test_worker.py, line \d+\)", failed.reason)


PAIR = """
from torch import nn
from attnbench import Mechanism, Paper

class Pair(nn.Linear):
    def forward(self, x):
        return super().forward(x), x

PAPER = Paper("None", "Nowhere", 2026, "https://example.org")
pair = Mechanism("pair", "Pair", lambda geometry: Pair(geometry.dim, geometry.dim), lambda geometry: 0, PAPER)
"""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_layer_that_returns_more_than_tokens_is_wrong_and_not_crashed(tmp_path: Path, dtype: str):
    plugin = tmp_path / "pair.py"
    plugin.write_text(PAIR)
    (case, *_) = cases(discover([plugin]), "pair", dtype=dtype)
    journal.save(tmp_path / "shard", [replace(job("measure", [case]), plugins=(str(plugin),)), ENVIRONMENT])
    with (tmp_path / "shard").open("a") as file, suppress(ProcessSpent):
        work(tmp_path / "shard", JournalWriter(file))
    assert journal.read(tmp_path / "shard")[-1] == Failed(0, "wrong", RETURNS_A_PAIR)


def test_a_crash_is_told_with_the_line_of_the_layers_file(tmp_path: Path):
    shard = tmp_path / "shard"
    with shard.open("a") as file, failure_as_fact(4, JournalWriter(file)):
        raise ValueError("bang")
    (fact,), _ = journal.news(shard, 0)
    assert isinstance(fact, Failed)
    assert fact.outcome == "crashed"
    assert re.fullmatch(r"ValueError: bang \(test_worker\.py, line \d+\)", fact.reason)


def test_what_torch_refuses_in_a_variant_is_unsupported_with_all_that_it_says(tmp_path: Path):
    shard = tmp_path / "shard"
    with shard.open("a") as file, failure_as_fact(4, JournalWriter(file), Variant("flash")):
        warnings.warn("Flash needs a GPU. (Triggered internally at /build/torch/sdp.cpp:9.)", stacklevel=1)
        raise RuntimeError("No available kernel.\nLook elsewhere.")
    says = "RuntimeError: No available kernel. Flash needs a GPU."
    assert placeless(shard) == Failed(4, "unsupported", says)


def test_inductors_wish_for_tf32_is_no_reason(tmp_path: Path):
    shard = tmp_path / "shard"
    with shard.open("a") as file, failure_as_fact(4, JournalWriter(file), Variant(compile="default")):
        warnings.warn("TensorFloat32 tensor cores for float32 matrix multiplication available", stacklevel=1)
        raise RuntimeError("No room.")
    assert placeless(shard) == Failed(4, "unsupported", "RuntimeError: No room.")


def test_a_case_that_loses_the_device_is_written_before_its_worker_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)

    def lost() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "synchronize", lost)
    with (
        (tmp_path / "shard").open("a") as file,
        pytest.raises(ProcessSpent),
        failure_as_fact(4, JournalWriter(file)),
    ):
        lost()
    assert placeless(tmp_path / "shard") == Failed(
        4, "crashed", "RuntimeError: CUDA error: an illegal memory access was encountered"
    )


@pytest.mark.parametrize("error", [RuntimeError("no capture"), torch.OutOfMemoryError("CUDA out of memory.")])
def test_a_capture_that_fails_ends_its_worker(tmp_path: Path, error: Exception):
    graphed = Variant(cuda_graph=True)
    with (
        (tmp_path / "shard").open("a") as file,
        pytest.raises(ProcessSpent),
        failure_as_fact(4, JournalWriter(file), graphed),
    ):
        raise error
    written, _ = journal.news(tmp_path / "shard", 0)
    assert [fact.case for fact in written if isinstance(fact, Failed)] == [4]


@pytest.mark.parametrize(
    ("graphs", "error", "says"),
    [
        (
            3,
            torch.OutOfMemoryError("CUDA out of memory."),
            r"^3 CUDA graphs .* at once \(CUDA out of memory.\)",
        ),
        (0, torch.OutOfMemoryError("CUDA out of memory."), "^CUDA out of memory"),
        (3, RuntimeError("no capture"), "^no capture"),
    ],
)
def test_a_shortage_beside_graphs_says_what_keeps_the_memory(graphs: int, error: Exception, says: str):
    with pytest.raises(type(error), match=says), session_module.beside_graphs(graphs):
        raise error


def test_graphs_that_are_ready_are_those_that_keep_memory(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    beside: list[int] = []

    def noted(number: int) -> AbstractContextManager[None]:
        beside.append(number)
        return nullcontext()

    monkeypatch.setattr(session_module, "beside_graphs", noted)
    monkeypatch.setattr(layers, "graphed", lambda step, inputs: lambda: step(inputs[0]))
    msa, hilo, *_, matmul, _ = cases(registry, "msa", "hilo")
    graphs = [replace(each, variant=Variant(cuda_graph=True)) for each in (msa, hilo)]
    state = BlockState([job("measure", [*graphs, msa, matmul])])
    with (tmp_path / "shard").open("a") as file:
        clock, writer = WallClock(lambda: None), JournalWriter(file)
        session_module._warm(state, registry, clock, 0, writer, Surroundings())
    assert beside == [0, 1, 2, 2]


def test_a_case_that_runs_out_of_memory_in_a_sample_is_that_and_ends_the_process(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def rounds(*_: object, announce: Callable[[int], None], **__: object) -> Iterator[Turn]:
        announce(1)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 56.27 GiB.")

    monkeypatch.setattr(session_module, "rounds", rounds)
    with pytest.raises(ProcessSpent):
        worked(tmp_path / "shard", job("measure", cases(registry, "msa", "hilo")), *READY)
    (failed,) = (fact for fact in journal.read(tmp_path / "shard") if isinstance(fact, Failed))
    assert (failed.case, failed.outcome) == (1, "out_of_memory")


def test_a_session_measures_energy_where_its_device_has_a_counter(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Cpu, "energy_meter", lambda device: lambda: 50 * time.perf_counter())
    asked = job("measure", cases(registry, "msa")[:2], energy_s=0.02)
    said = worked(tmp_path / "shard", asked, *READY)
    powered = [fact for fact in said if isinstance(fact, Powered)]
    assert [(fact.case, fact.energy.session) for fact in powered] == [(0, 0), (1, 0)]
    for fact in powered:
        assert fact.energy.joules / fact.energy.seconds == pytest.approx(50, rel=0.05)
        assert fact.energy.idle_w == pytest.approx(50, rel=0.05)
        assert fact.energy.calls > 0
    assert isinstance(said[-1], Ended)


def test_a_case_has_the_energy_of_its_calls_beside_that_of_a_device_at_rest(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    taken = iter([Spent(6.0, 4.0, 99), Spent(30.0, 2.0, 5)])
    monkeypatch.setattr(Cpu, "energy_meter", lambda device: lambda: 0.0)
    monkeypatch.setattr(session_module, "spent", lambda *_: next(taken))
    said = worked(tmp_path / "shard", job("measure", cases(registry, "msa")[:1], energy_s=1.0), *READY[:2])
    powered = [fact for fact in said if isinstance(fact, Powered)]
    assert powered == [Powered(0, Energy(0, 30.0, 2.0, 5, 6.0 / 4.0))]


def test_a_layer_that_fails_while_its_energy_is_measured_fails_alone(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Cpu, "energy_meter", lambda device: lambda: 50 * time.perf_counter())
    fails = iter([True, False])

    def busy(member: Member, mark: Callable[[], Callable[[], None]]) -> Callable[[], int]:
        if next(fails):
            raise RuntimeError("bang")
        return kept_busy(member, mark)

    monkeypatch.setattr(session_module, "kept_busy", busy)
    asked = job("measure", cases(registry, "msa")[:2], energy_s=0.02)
    said = worked(tmp_path / "shard", asked, *READY)
    assert [fact.case for fact in said if isinstance(fact, Failed)] == [0]
    assert [fact.case for fact in said if isinstance(fact, Powered)] == [1]
    assert isinstance(said[-1], Ended)


def test_no_session_measures_energy_unasked(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Cpu, "energy_meter", lambda device: lambda: 50 * time.perf_counter())
    said = worked(tmp_path / "shard", job("measure", cases(registry, "msa")[:2]), *READY)
    assert not any(isinstance(fact, Powered) for fact in said)


def test_the_first_worker_compares_what_is_not_plain_with_float64(registry: Registry, tmp_path: Path):
    plain, *_ = cases(registry, "msa")
    ways = [plain, *(replace(plain, variant=Variant(kernel)) for kernel in ("fused", "efficient"))]
    said = worked(tmp_path / "shard", job("measure", ways), ENVIRONMENT)
    (checked,) = (fact for fact in said if isinstance(fact, Checked))
    assert (checked.case, checked.check.preparation_s) == (1, None)
    assert checked.check.relative_error is not None
    assert 0 < checked.check.relative_error < 1e-6
    assert [fact.case for fact in said if isinstance(fact, Allocated)] == [0, 1]
    (failed,) = (fact for fact in said if isinstance(fact, Failed))
    assert (failed.case, failed.outcome) == (2, "unsupported")
    assert "RuntimeError: No viable backend" in failed.reason


def test_what_was_compared_already_is_not_compared_again(registry: Registry, tmp_path: Path):
    fused, *_ = cases(registry, "msa", kernel="fused")
    said = worked(tmp_path / "shard", job("measure", [fused]), ENVIRONMENT, Checked(0, Check(1e-7, None)))
    assert not any(isinstance(fact, Checked) for fact in said)
    assert any(isinstance(fact, Allocated) for fact in said)


def lean(
    registry: Registry, geometry: Geometry, *, batch: int = 4, mode: Mode = Mode.inference
) -> tuple[Case, int]:
    """MSA with a fused kernel in 16 bits, and what that is predicted to need."""
    asked = changed(
        cases(registry, "msa")[0],
        geometry=geometry,
        batch=batch,
        mode=mode,
        variant=Variant("fused", "bfloat16"),
    )
    with use_kernel("fused"):
        need = predicted_peak_bytes(
            lambda: build(registry, asked, 0), asked.workload.shape, torch.bfloat16, mode
        )
    assert need is not None
    return asked, need


def reference_need(registry: Registry, asked: Case, geometry: Geometry, images: int) -> int:
    """What so many images on such a map need in float64."""
    exact = changed(asked, geometry=geometry, batch=images, variant=Variant())
    need = predicted_peak_bytes(
        lambda: build(registry, exact, 0), exact.workload.shape, torch.float64, exact.workload.mode
    )
    assert need is not None
    return need


def both(registry: Registry, folder: Path, asked: Case, limit: int) -> tuple[list[Fact], list[Fact]]:
    """What a worker that counts says where there is so much memory, and what the next says that measures."""
    counts = worked(folder / "counts", replace(job("count", [asked]), memory_limit_bytes=limit))
    known = [fact for fact in counts if isinstance(fact, Predicted | Referenced | Counted | Failed)]
    return counts, worked(folder / "block", job("measure", [asked]), ENVIRONMENT, *known)


def checks(said: Sequence[Fact]) -> list[Check]:
    return [fact.check for fact in said if isinstance(fact, Checked)]


@pytest.mark.parametrize("mode", Mode)
def test_where_a_few_images_do_not_fit_in_float64_fewer_are_compared(
    registry: Registry, tmp_path: Path, mode: Mode
):
    asked, _ = lean(registry, Geometry(8, 2, 14, 14), mode=mode)
    limit = reference_need(registry, asked, asked.workload.geometry, images=2)
    counts, said = both(registry, tmp_path, asked, limit)
    (reference,) = (fact for fact in counts if isinstance(fact, Referenced))
    assert (reference.images, reference.height, reference.remark) == (2, 14, "")
    (check,) = checks(said)
    assert check.relative_error is not None
    assert 1e-4 < check.relative_error < 0.02


def test_where_one_image_does_not_fit_in_float64_a_smaller_map_is_compared(
    registry: Registry, tmp_path: Path
):
    asked, _ = lean(registry, Geometry(8, 2, 28, 28))
    limit = reference_need(registry, asked, Geometry(8, 2, 14, 14), images=1)
    counts, said = both(registry, tmp_path, asked, limit)
    (reference,) = (fact for fact in counts if isinstance(fact, Referenced))
    assert (reference.images, reference.height, reference.width) == (1, 14, 14)
    assert reference.remark == (
        "compared with float64 on a map of 14x14 alone: one image needs 0.0 GiB as its reference, "
        "and 0.0 GiB are available"
    )
    (check,) = checks(said)
    assert check.relative_error is not None
    assert 1e-4 < check.relative_error < 0.02
    assert not any(isinstance(fact, Failed) for fact in said)


def test_a_layer_that_is_wrong_on_a_smaller_map_is_wrong(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(KERNELS, "fused", lambda q, k, v, bias, *, masked: v)
    asked, need = lean(registry, Geometry(8, 2, 28, 28), batch=16)
    _, said = both(registry, tmp_path, asked, need)
    assert [fact.outcome for fact in said if isinstance(fact, Failed)] == ["wrong"]


def test_where_no_map_fits_in_float64_a_variant_is_not_compared_and_measured_all_the_same(
    registry: Registry, tmp_path: Path
):
    asked, need = lean(registry, Geometry(96, 2, 13, 13), batch=1)
    counts, said = both(registry, tmp_path, asked, need)
    (reference,) = (fact for fact in counts if isinstance(fact, Referenced))
    assert reference.remark.startswith("not compared with float64: one image needs 0.0 GiB")
    assert checks(said) == [Check(None, None)]
    assert [fact.case for fact in said if isinstance(fact, Allocated)] == [0]
    assert not any(isinstance(fact, Failed) for fact in said)


def test_a_reference_that_finds_no_memory_is_no_failure_of_the_variant(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, masked: bool) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 60 GiB\nSee the documentation")

    monkeypatch.setitem(KERNELS, "explicit", full)
    asked, _ = lean(registry, Geometry(8, 2, 4, 4))
    said = worked(tmp_path / "shard", job("measure", [asked]), ENVIRONMENT)
    (reference,) = (fact for fact in said if isinstance(fact, Referenced))
    assert reference.remark == ("not compared with float64: CUDA out of memory. Tried to allocate 60 GiB")
    assert checks(said) == [Check(None, None)]
    assert not any(isinstance(fact, Failed) for fact in said)


def test_the_reference_of_several_variants_is_predicted_once(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked, need = lean(registry, Geometry(8, 2, 28, 28))
    predicted = []

    def spy(*arguments: Any) -> int:
        predicted.append(arguments)
        return need

    monkeypatch.setattr(counting, "predicted_bytes", spy)
    ways = [replace(asked, variant=Variant("fused", dtype)) for dtype in ("bfloat16", "float16", "float32")]
    worked(tmp_path / "shard", replace(job("count", ways), memory_limit_bytes=need))
    assert len(predicted) == 3 + 1


def test_what_a_device_does_not_have_is_known_before_anything_is_timed(registry: Registry, tmp_path: Path):
    plain, *_ = cases(registry, "msa")
    said = worked(tmp_path / "shard", job("count", [replace(plain, variant=Variant(dtype="tf32"))]))
    reasons = [(fact.outcome, fact.reason[:30]) for fact in said if isinstance(fact, Failed)]
    assert reasons == [("unsupported", "TF32 is how a CUDA device may ")]


@pytest.mark.slow
def test_compilation_is_told_apart_and_in_no_sample(registry: Registry, tmp_path: Path):
    plain, *_ = cases(registry, "msa")
    ways = [replace(plain, variant=Variant(compile="default"))]
    (checked,) = (
        fact
        for fact in worked(tmp_path / "first", job("measure", ways), ENVIRONMENT)
        if isinstance(fact, Checked)
    )
    said = worked(tmp_path / "second", job("measure", ways), ENVIRONMENT, allocated(0))
    seconds = [fact.sample.seconds for fact in said if isinstance(fact, Timed)]
    assert checked.check.preparation_s is not None
    assert checked.check.preparation_s > 100 * max(seconds)


class FullDisk:
    """A file that takes nothing at first."""

    full = True

    def write(self, text: str) -> None:
        if self.full:
            self.full = False
            raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None: ...


def test_a_full_disk_is_no_fault_of_the_case():
    writer = JournalWriter(FullDisk())  # type: ignore[arg-type]
    with pytest.raises(DiskFailed, match="No space left"), failure_as_fact(0, writer):
        writer.write(Began(0))


def test_a_shard_goes_onto_the_disk_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock, synced = FakeClock(), []
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(clock.now))
    with (tmp_path / "shard").open("a") as file:
        writer = JournalWriter(file)
        for clock.now in (0.5, 1.25, 2.0, 2.5):
            writer.sync()
    assert synced == [1.25, 2.5]


@pytest.mark.cuda
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_mechanism_runs_on_a_gpu_and_equals_the_cpu(registry: Registry, kernel: str):
    geometry = Geometry(48, 6, 9, 5)
    for name in registry:
        choice = registry.choose(name)
        outputs = []
        for device in ("cpu", "cuda"):
            (block,) = sweep(
                [choice],
                [geometry],
                [device],
                batches=[2],
                variants=[Variant(kernel)],
            )
            case, *_ = block.cases
            set_up_torch(1)
            with torch.inference_mode():
                outputs.append(make_call(build(registry, case, 0), case, make_data(case, 0))().cpu())
        torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-3, atol=1e-4)


def test_a_worker_that_was_started_ahead_is_told_its_shard_and_variables(
    monkeypatch: pytest.MonkeyPatch,
):
    order = {"shard": "run/shard-1.jsonl", "environment": {"TORCHINDUCTOR_CACHE_DIR": "compiled"}}
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "another")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{json.dumps(order)}\n"))
    assert worker.told() == Path("run/shard-1.jsonl")
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "compiled"


def test_a_worker_whose_parent_is_gone_before_it_was_told_is_gone_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        worker.told()
    assert ended.value.code == 1


@pytest.mark.parametrize(("float16_s", "told"), [(58.4, "58"), (1.6, "1.6")])
def test_a_format_is_emulated_whose_products_take_much_longer(
    monkeypatch: pytest.MonkeyPatch, float16_s: float, told: str
):
    seconds = {torch.float32: iter([2.0, 1.0, 9.0, 9.0, 9.0]), torch.bfloat16: iter([1.4] * 5)}
    seconds[torch.float16] = iter([60.0, float16_s, 70.0, 80.0, 90.0])
    monkeypatch.setattr(worker, "_matmul_s", lambda device, dtype: next(seconds[dtype]))
    assert worker.emulated("cpu") == {"emulated.float16": told}


def test_a_gpu_that_emulates_a_format_says_so_under_its_own_name(monkeypatch: pytest.MonkeyPatch):
    seconds = {torch.float32: 1.0, torch.bfloat16: 3.0, torch.float16: math.inf}
    monkeypatch.setattr(worker, "_matmul_s", lambda device, dtype: seconds[dtype])
    assert worker.emulated("cuda") == {"emulated.cuda.bfloat16": "3"}


def test_a_gpus_products_are_timed_by_its_own_clock(monkeypatch: pytest.MonkeyPatch):
    clocks = [object(), object()]
    monkeypatch.setattr(worker, "MIDDLING", 8)
    monkeypatch.setattr(timing, "sample", lambda _call, _calls, clock: clocks.index(clock))
    with installed(monkeypatch).computing(meta_is_here=False):
        monkeypatch.setattr(Cuda, "clocks", lambda _: clocks)
        assert worker._matmul_s("cuda", torch.bfloat16) == 0


def test_a_format_that_a_device_has_no_products_in_is_no_emulated_one(monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object) -> float:
        raise RuntimeError("CUBLAS_STATUS_NOT_SUPPORTED")

    monkeypatch.setattr(timing, "sample", refused)
    assert worker._matmul_s("cpu", torch.bfloat16) == math.inf


def test_a_pinned_kernel_in_whose_place_torch_ran_another_is_unsupported(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(preflight, "backends_of", lambda call: ("math",))
    plain, *_ = cases(registry, "msa")
    ways = [replace(plain, variant=Variant(kernel)) for kernel in ("flash", "math", "fused")]
    said = worked(tmp_path / "shard", job("measure", ways), ENVIRONMENT)
    (failed,) = (fact for fact in said if isinstance(fact, Failed))
    assert (failed.case, failed.outcome) == (0, "unsupported")
    assert failed.reason == "torch ran math attention, where flash was asked for"
    assert [fact.case for fact in said if isinstance(fact, Allocated)] == [1, 2]


def test_a_layer_that_asks_for_fused_attention_itself_is_looked_at_under_the_explicit_kernel(tmp_path: Path):
    plugin = Path(own_fused.__file__)
    members = cases(discover([plugin]), "msa", "own-fused")
    asked = replace(job("count", members[:2]), plugins=(str(plugin),))
    counted = worked(tmp_path / "count", asked)
    known, timed = [fact for fact in counted if isinstance(fact, Counted)], session(0, [0, 1])
    said = worked(tmp_path / "measure", replace(asked, task="measure"), ENVIRONMENT, *known, *timed)
    assert [fact for fact in said if isinstance(fact, Attended)] == [Attended(1, ("flash",))]
