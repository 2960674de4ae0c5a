"""What all layers of a process share stays what it was, and who changes it is told of."""

import gc
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from attnbench import Geometry
from attnbench.cases.protocol import Protocol
from attnbench.cases.registry import discover
from attnbench.cases.sweep import sweep
from attnbench.measuring.journal_writer import JournalWriter, ProcessSpent
from attnbench.measuring.precision import NEW, read_precision, set_precision
from attnbench.measuring.seeds import read_numpy, seed_torch
from attnbench.measuring.surroundings import REDUCTIONS, Meddled, Surroundings
from attnbench.measuring.worker import work
from attnbench.records import journal
from attnbench.records.block_state import BlockState
from attnbench.records.journal import Job, PutRight
from tests.conftest import Run
from tests.shards import ENVIRONMENT

MATMUL: Any = torch.backends.cuda.matmul
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


def _newly(part: Any, precision: str) -> None:
    """Say how products of float32 are made in the way that torch has since 2.9."""
    if not NEW:
        pytest.skip("this torch has one way to say it")
    part.fp32_precision = precision


def _stands_in() -> None:
    F.softmax = lambda x, *_args, **_kwargs: x


def _seeded_for_a_while() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)


DECISIVE: dict[str, Callable[[], object]] = {
    "the number of threads": _more_threads,
    "the default number format": lambda: torch.set_default_dtype(torch.float64),
    "the default device": lambda: torch.set_default_device("meta"),
    "whether gradients are asked for": lambda: torch.set_grad_enabled(False),
    "the precision of float32 products": lambda: torch.set_float32_matmul_precision("medium"),
    "how cuDNN chooses": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "how products of 16 bits are added": lambda: setattr(MATMUL, REDUCTIONS[1], False),
    "which fused attention is allowed": lambda: torch.backends.cuda.enable_flash_sdp(False),
    "whether algorithms are deterministic": lambda: torch.use_deterministic_algorithms(True),
    "whether subnormal numbers are flushed": lambda: torch.set_flush_denormal(True),
    "the garbage collector": gc.disable,
    "torch's softmax": _stands_in,
}
OTHER_WAYS: dict[str, tuple[str, Callable[[], object]]] = {
    "TF32": ("the precision of float32 products", lambda: setattr(MATMUL, "allow_tf32", True)),
    "the newer way": ("the precision of float32 products", lambda: _newly(MATMUL, "tf32")),
    "of all torch": ("the precision of float32 products", lambda: _newly(torch.backends, "tf32")),
    "of convolutions": ("the precision of float32 products", lambda: _newly(torch.backends.cudnn, "ieee")),
    "no cuDNN": ("how cuDNN chooses", lambda: setattr(torch.backends.cudnn, "enabled", False)),
    "cuDNN's": ("which fused attention is allowed", lambda: torch.backends.cuda.enable_cudnn_sdp(False)),
}
HARMLESS: dict[str, Callable[[], object]] = {
    "the working directory": lambda: os.chdir("/"),
    "the environment": lambda: os.environ.update(PATH="nowhere"),
    "signal handlers": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "the seed of torch's random numbers": lambda: torch.manual_seed(1),
    "the seed of Python's random numbers": lambda: random.seed(1),
    "the seed of NumPy's random numbers": lambda: np.random.seed(1),
}
DRAWS: dict[str, Callable[[], object]] = {
    "torch": lambda: torch.rand(9),
    "torch, seeded for a while": _seeded_for_a_while,
    "Python": random.random,
    "NumPy": lambda: np.random.rand(9),
    "all of a state": lambda: [np.random.bytes(4 * 624), random.getrandbits(32 * 624)],
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


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_whichever_way_it_is_changed_it_is_put_right(way: str):
    name, change = OTHER_WAYS[way]
    set_precision(tf32=False)
    surroundings = Surroundings()
    change()
    assert surroundings.put_right() == (name,)
    assert surroundings.put_right() == ()
    assert MATMUL.allow_tf32 is False


@pytest.mark.parametrize("changed", ["device", "stream"])
def test_a_layer_that_moves_to_another_gpu_or_stream_has_no_time(
    monkeypatch: pytest.MonkeyPatch, changed: str
):
    now: dict[str, Any] = {"device": 0, "stream": "first"}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    for name in now:
        monkeypatch.setattr(torch.cuda, f"current_{name}", partial(now.get, name))
        monkeypatch.setattr(torch.cuda, f"set_{name}", partial(now.__setitem__, name))
    surroundings = Surroundings()
    now[changed] = "another"
    with pytest.raises(Meddled, match="the current GPU or its stream"):
        surroundings.require_as_before(thorough=False)
    assert now == {"device": 0, "stream": "first"}


def test_a_gpu_that_comes_into_use_is_not_another_one(monkeypatch: pytest.MonkeyPatch):
    surroundings = Surroundings()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: "first")
    assert surroundings.require_as_before() == ()


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


@pytest.mark.parametrize("name", DRAWS)
def test_who_only_draws_random_numbers_goes_on_with_them(name: str):
    surroundings = Surroundings()
    DRAWS[name]()
    before = torch.get_rng_state(), random.getstate(), read_numpy()
    assert surroundings.put_right() == ()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), read_numpy()) == before[1:]


def test_the_runs_own_seed_is_one_that_nobody_takes_again():
    seed_torch(5)
    surroundings, first = Surroundings(), torch.rand(3)
    torch.manual_seed(5)
    torch.rand(3)
    assert surroundings.require_as_before() == ("the seed of torch's random numbers",)
    assert torch.equal(torch.rand(3), first)


def test_numbers_are_those_of_the_seed():
    seed_torch(5)
    ours = torch.rand(3), torch.randn(40), torch.rand(700)
    torch.manual_seed(5)
    assert all(map(torch.equal, ours, (torch.rand(3), torch.randn(40), torch.rand(700))))


@pytest.mark.parametrize("seed", [0, 2**32 - 1, [1, 2]])
def test_every_kind_of_seed_of_numpy_is_seen(seed: int | list[int]):
    surroundings = Surroundings()
    np.random.seed(seed)
    assert surroundings.put_right() == ("the seed of NumPy's random numbers",)


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


def facts_of(shard: Path, *names: str, plugin: Path = PLUGIN) -> BlockState:
    """All that workers find out about a block of these layers."""
    choices = [discover([plugin]).choose(name) for name in names]
    (block,) = sweep(choices, [Geometry(8, 2, 2, 3)], ["cpu"], batches=[3])
    journal.save(shard, [Job("measure", block.cases, (str(plugin),), 1, PROTOCOL, "2026"), ENVIRONMENT])
    while BlockState(journal.read(shard)).unfinished:
        with shard.open("a") as file, suppress(ProcessSpent):
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


@pytest.mark.parametrize("name", ["rounds", "rounds-in-the-newer-way"])
def test_a_layer_that_rounds_its_products_in_its_calls_has_no_time_in_float32(tmp_path: Path, name: str):
    state = facts_of(tmp_path / "shard", "msa", name)
    assert {index: failed.outcome for index, failed in state.failed.items()} == {1: "wrong"}
    assert "the precision of float32 products" in state.failed[1].reason
    assert state.samples[0]


def test_a_layer_that_was_built_with_rounded_products_is_timed_in_the_runs_own(tmp_path: Path):
    state = facts_of(tmp_path / "shard", "msa", "built-rounding")
    assert state.put_right == {1: ("the precision of float32 products",)}
    assert state.failed == {}


@pytest.mark.parametrize(
    "line",
    ["backends.cuda.matmul.fp32_precision = 'tf32'", "set_float32_matmul_precision('medium')"],
)
def test_what_a_plugin_sets_when_it_is_imported_is_not_how_layers_are_measured(tmp_path: Path, line: str):
    set_precision(tf32=False)
    exact, plugin = read_precision(), tmp_path / "rounding.py"
    plugin.write_text(f"{PLUGIN.read_text()}\ntorch.{line}\ntorch.set_num_threads(3)\n")
    state = facts_of(tmp_path / "shard", "msa", "draws", plugin=plugin)
    assert (state.put_right, state.failed) == ({}, {})
    assert read_precision() == exact
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("name", ["seeds-itself", "seeds-each-call"])
def test_a_layer_that_seeds_all_random_numbers_is_told_of_and_timed(tmp_path: Path, name: str):
    state = facts_of(tmp_path / "shard", "msa", name)
    assert state.put_right == {1: ("the seed of torch's random numbers",)}
    assert state.failed == {}


def test_a_layer_that_draws_random_numbers_is_not_told_of(tmp_path: Path):
    state = facts_of(tmp_path / "shard", "msa", "draws")
    assert (state.put_right, state.failed) == ({}, {})


def test_what_fails_leaves_nothing_behind_that_another_is_blamed_for(tmp_path: Path):
    state = facts_of(tmp_path / "shard", "unbuildable", "msa")
    assert list(state.failed) == [0]
    assert state.put_right == {}


def test_nothing_is_written_where_nothing_is_changed(tmp_path: Path):
    state = facts_of(tmp_path / "shard", "msa", "hilo")
    assert not [fact for fact in state.facts if isinstance(fact, PutRight)]


@pytest.mark.slow
@pytest.mark.usefixtures("workers_in_process")
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
