"""What all layers of a process share stays what it was, and who changes it is told of."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from attnbench import Geometry
from attnbench.cases.protocol import Protocol
from attnbench.cases.registry import discover
from attnbench.cases.sweep import sweep
from attnbench.measuring.journal_writer import JournalWriter
from attnbench.measuring.surroundings import Meddled, Surroundings
from attnbench.measuring.worker import work
from attnbench.records import journal
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Job, PutRight
from tests.conftest import Run
from tests.shards import ENVIRONMENT

PLUGIN = Path(__file__).parents[1] / "meddling.py"
PROTOCOL = Protocol(
    sessions=1, precision=100, max_seconds=60, least_warmup_s=0, most_warmup_s=0, min_sample_s=0.001, seed=5
)


@pytest.fixture(autouse=True)
def _surroundings() -> Iterator[None]:
    mine = Surroundings()
    yield
    mine.put_right()


def _more_threads() -> None:
    torch.set_num_threads(torch.get_num_threads() + 1)


def _stands_in() -> None:
    F.softmax = lambda x, *_args, **_kwargs: x


DECISIVE: dict[str, Callable[[], object]] = {
    "the number of threads": _more_threads,
    "the default number format": lambda: torch.set_default_dtype(torch.float64),
    "the default device": lambda: torch.set_default_device("meta"),
    "whether gradients are asked for": lambda: torch.set_grad_enabled(False),
    "the precision of float32 products": lambda: torch.set_float32_matmul_precision("medium"),
    "how cuDNN chooses": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "which fused attention is allowed": lambda: torch.backends.cuda.enable_flash_sdp(False),
    "whether algorithms are deterministic": lambda: torch.use_deterministic_algorithms(True),
    "whether subnormal numbers are flushed": lambda: torch.set_flush_denormal(True),
    "the garbage collector": gc.disable,
    "torch's softmax": _stands_in,
}
HARMLESS: dict[str, Callable[[], object]] = {
    "the working directory": lambda: os.chdir("/"),
    "the environment": lambda: os.environ.update(PATH="nowhere"),
    "signal handlers": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
}


@pytest.mark.parametrize("name", DECISIVE | HARMLESS)
def test_what_a_constructor_changes_is_put_right_and_told(name: str):
    surroundings = Surroundings()
    assert surroundings.put_right() == ()
    (DECISIVE | HARMLESS)[name]()
    (told,) = surroundings.put_right()
    assert told.startswith(name)
    assert surroundings.put_right() == ()
    assert Surroundings().before == surroundings.before


@pytest.mark.parametrize("name", DECISIVE)
def test_calls_that_change_what_decides_a_time_are_wrong(name: str):
    surroundings = Surroundings()
    DECISIVE[name]()
    with pytest.raises(Meddled, match=f"its calls change {name}.*, so their time is not one of the setting"):
        surroundings.require_as_before()
    assert surroundings.require_as_before() == ()


@pytest.mark.parametrize("name", HARMLESS)
def test_calls_that_change_nothing_of_the_kind_are_told_of(name: str):
    surroundings = Surroundings()
    HARMLESS[name]()
    assert surroundings.require_as_before() == (name,)


def test_both_values_are_told_where_they_can_be_read():
    surroundings, threads = Surroundings(), torch.get_num_threads()
    _more_threads()
    assert surroundings.put_right() == (f"the number of threads ({threads}, then {threads + 1})",)


def test_what_torchs_compiler_puts_into_place_when_it_is_loaded_is_not_a_layers():
    surroundings, before = Surroundings(), torch.manual_seed
    torch.manual_seed = torch.compiler.disable(before)
    try:
        assert surroundings.put_right() == ()
    finally:
        torch.manual_seed = before


def facts_of(shard: Path, *names: str) -> BlockState:
    """All that workers find out about a block of these layers."""
    choices = [discover([PLUGIN]).choose(name) for name in names]
    (block,) = sweep(choices, [Geometry(8, 2, 2, 3)], ["cpu"], batches=[3])
    journal.save(shard, [Job("measure", block.cases, (str(PLUGIN),), 1, PROTOCOL, "2026"), ENVIRONMENT])
    for _ in range(2):
        with shard.open("a") as file:
            work(shard, JournalWriter(file))
    return BlockState(journal.read(shard))


def test_a_layer_that_was_built_with_other_threads_is_timed_with_the_runs_own(tmp_path: Path):
    state = facts_of(tmp_path / "shard", "msa", "once")
    assert state.put_right == {1: ("the number of threads (1, then 3)",)}
    assert state.failed == {}
    assert torch.get_num_threads() == 1


def test_a_layer_that_sets_threads_in_its_calls_has_no_time_and_those_beside_it_have(tmp_path: Path):
    state = facts_of(tmp_path / "shard", "msa", "each-call")
    assert list(state.failed) == [1]
    assert state.failed[1].outcome == "wrong"
    assert state.samples[0]


def test_what_fails_leaves_nothing_behind_that_another_is_blamed_for(tmp_path: Path):
    state = facts_of(tmp_path / "shard", "unbuildable", "msa")
    assert list(state.failed) == [0]
    assert state.put_right == {}


def test_nothing_is_written_where_nothing_is_changed(tmp_path: Path):
    state = facts_of(tmp_path / "shard", "msa", "hilo")
    assert not [fact for fact in state.facts if isinstance(fact, PutRight)]


@pytest.mark.slow
def test_a_row_says_what_was_put_right(attnbench: Run, tmp_path: Path):
    names = ("msa", "once", "late")
    how = ("--plugin", PLUGIN, "--dim", "8", "--heads", "2", "--res", "2x3", "--threads", "1")
    done = attnbench("run", *names, *how, "--quick", "--max-seconds", "2", "--out", tmp_path / "run")
    text = " ".join(done.out.split())
    assert (
        "Once (cpu 2x3 batch 8): it changes the number of threads (1, then 3) for all layers; that was"
        in text
    )
    assert "Late (cpu 2x3 batch 8): wrong: its calls change the number of threads (1, then 3)" in text
