"""What lies beside a call in a session is what a session allocates, to the byte."""

from dataclasses import replace
from pathlib import Path

import pytest

from attnbench import Geometry
from attnbench.cases.case import Block, Mode, Role
from attnbench.cases.registry import discover
from attnbench.cases.sweep import sweep
from attnbench.cases.variant import Variant
from attnbench.machine.cpu import Cpu
from attnbench.measuring import ceiling, counting
from attnbench.measuring.execution import dtype_of
from attnbench.measuring.journal_writer import JournalWriter
from attnbench.measuring.layers import make_data_by_dtype
from attnbench.measuring.room import beside_bytes
from attnbench.measuring.worker import work
from attnbench.records import journal
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Job
from tests.shards import PROTOCOL

SIZE = Geometry(48, 6, 4, 4)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cpu, "matmul_side", lambda *_: 96)
    monkeypatch.setattr(Cpu, "copy_bytes", lambda _: 2**16)


def block(mode: Mode, *dtypes: str) -> Block:
    """Two layers on a small map."""
    choices = [discover().choose(name) for name in ("msa", "hilo")]
    variants = [Variant(dtype=dtype) for dtype in dtypes]
    (found,) = sweep(choices, [SIZE], ["cpu"], batches=[2], modes=[mode], variants=variants)
    return found


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("dtypes", [["float32"], ["float32", "tf32", "bfloat16"], ["float64", "float16"]])
def test_it_is_what_ceilings_and_inputs_take_but_the_one_that_is_given(mode: Mode, dtypes: list[str]):
    cases = block(mode, *dtypes).cases
    data = make_data_by_dtype(cases, 0)
    limits = [
        ceiling.ceiling(case.mechanism, case.device, dtype_of(case.variant), 1)
        for case in cases
        if case.role is Role.ceiling
    ]
    tensors = [each for one in data.values() for each in (*one.inputs, one.gradient) if each is not None]
    there = sum(tensor.nbytes for tensor in [*tensors, *ceiling._in_use.values()])
    assert limits
    for case in cases:
        if case.role is not Role.ceiling:
            mine = data[dtype_of(case.variant)]
            given = mine.inputs[0].nbytes + (0 if mine.gradient is None else mine.gradient.nbytes)
            assert beside_bytes(case, cases, 1) == there - given


def test_other_blocks_lie_elsewhere():
    first = block(Mode.inference, "float32")
    larger = replace(first.cases[0].workload, geometry=Geometry(48, 6, 8, 8))
    others = tuple(replace(case, workload=larger) for case in first.cases)
    case = first.cases[0]
    assert beside_bytes(case, (*first.cases, *others), 1) == beside_bytes(case, first.cases, 1)
    assert beside_bytes(case, [case, *others], 1) < beside_bytes(case, first.cases, 1)


@pytest.mark.parametrize(("missing", "fits"), [(0, True), (1, False)])
def test_a_layer_must_fit_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int, fits: bool
):
    cases = block(Mode.inference, "float32").cases
    free = 10**6 + beside_bytes(cases[0], cases, 1) - missing
    monkeypatch.setattr(counting, "predicted_bytes", lambda *_: 10**6)
    monkeypatch.setattr(Cpu, "free_bytes", lambda _: free)
    shard = tmp_path / "shard"
    journal.save(shard, [Job("count", cases, (), 1, PROTOCOL, "2026")])
    with shard.open("a") as file:
        work(shard, JournalWriter(file))
    state = BlockState(journal.read(shard))
    assert (0 not in state.failed) == fits
    assert state.predicted[0].prediction.available_bytes == 10**6 - missing
