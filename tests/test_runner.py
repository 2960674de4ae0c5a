"""From a sweep to records, with real worker processes on tiny layers."""

import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from attnbench import Geometry, runner
from attnbench.errors import AttnbenchError
from attnbench.measure.facts import Counted, Environment, Fact, Timed
from attnbench.record import RecordFile, read
from attnbench.registry import discover
from attnbench.sweep import Block, Protocol, sweep
from tests.fakes import MACHINE

GEOMETRY = Geometry(8, 2, 2, 2)
QUICK = Protocol(rounds=6, max_seconds=20, least_warmup_s=0, most_warmup_s=0.1, min_sample_s=0.0005, seed=0)
MISBEHAVING = """
import os, time
import torch
from torch import nn
from attnbench import Mechanism, Paper, UnsupportedGeometry

class Layer(nn.Module):
    def __init__(self, geometry):
        super().__init__()
        self.map = nn.Linear(geometry.dim, geometry.dim)

class Refuses(Layer):
    def __init__(self, geometry):
        raise UnsupportedGeometry("this map is too square")

class Raises(Layer):
    def forward(self, x):
        if len(x) > 1:
            raise ValueError("no batches please")
        return self.map(x)

class OtherShape(Layer):
    def forward(self, x):
        return self.map(x)[:, :1]

class NotANumber(Layer):
    def forward(self, x):
        return self.map(x) * float("nan")

class Dies(Layer):
    def forward(self, x):
        if len(x) > 1:
            os._exit(9)
        return self.map(x)

class OnlyBatches(Layer):
    def forward(self, x):
        if len(x) == 1:
            raise ValueError("one image is no batch")
        return self.map(x)

class TellsThreads(Layer):
    def forward(self, x):
        raise ValueError(os.environ["OMP_NUM_THREADS"] + os.environ["MKL_NUM_THREADS"])

class Slow(Layer):
    def forward(self, x):
        time.sleep(0.1)
        return self.map(x)

for name, layer in list(globals().items()):
    if isinstance(layer, type) and issubclass(layer, Layer):
        globals()["made_" + name] = Mechanism(
            name.lower(), name, layer, lambda geometry: geometry.tokens * geometry.dim**2,
            Paper("None", "Nowhere", 2026, "https://example.org"),
        )

liar = Mechanism("liar", "Liar", Slow, lambda geometry: 7, Paper("None", "Nowhere", 2026, "https://example.org"))
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "misbehaving.py"
    path.write_text(MISBEHAVING)
    return path


def sweep_of(
    texts: list[str], plugins: Sequence[Path] = (), geometries: Sequence[Geometry] = (GEOMETRY,)
) -> tuple[Block, ...]:
    registry = discover(plugins)
    choices = [registry.choose(text) for text in texts]
    return sweep(choices, geometries, ["cpu"], batch=2, dtype="float32", kernel="explicit")


def measure(
    plugin: Path,
    folder: Path,
    texts: list[str],
    protocol: Protocol = QUICK,
    geometries: Sequence[Geometry] = (GEOMETRY,),
) -> tuple[bool, RecordFile, list[Fact]]:
    blocks = sweep_of(texts, [plugin], geometries)
    setup = runner.Setup((str(plugin),), 1, protocol)
    known = runner.survey(blocks, setup)
    runner.open_folder(folder)
    seen: list[Fact] = []
    finished = runner.measure(blocks, known, setup, folder, lambda _, fact: seen.append(fact))
    return finished, read(folder), seen


def test_every_case_is_one_row_whatever_becomes_of_it(plugin: Path, tmp_path: Path):
    failing = ["refuses", "raises", "othershape", "notanumber", "tellsthreads"]
    texts = ["msa", *failing, "onlybatches", "hilo:alpha=0.5"]
    finished, found, _ = measure(plugin, tmp_path, texts)
    assert finished
    rows = {row.label: row for row in found.records}
    assert list(rows) == texts
    assert {label: row.outcome for label, row in rows.items()} == {
        "msa": "measured", "refuses": "unsupported", "raises": "crashed", "othershape": "wrong",
        "notanumber": "wrong", "tellsthreads": "crashed", "onlybatches": "measured",
        "hilo:alpha=0.5": "measured",
    }  # fmt: skip
    assert rows["refuses"].reason == "this map is too square"
    assert rows["raises"].reason == "ValueError: no batches please"
    assert rows["othershape"].reason == "the output has shape (2, 1, 8) instead of (2, 4, 8)"
    assert rows["notanumber"].reason == "the output holds NaN or infinite numbers"
    assert rows["tellsthreads"].reason == "ValueError: 11"
    assert rows["onlybatches"].reason == "not counted: ValueError: one image is no batch"
    assert rows["onlybatches"].macs is None


def test_a_row_holds_counts_samples_and_what_decided_them(plugin: Path, tmp_path: Path):
    _, found, seen = measure(plugin, tmp_path, ["msa", "liar"])
    msa, liar = found.records
    assert (msa.params, msa.macs, msa.macs_closed_form) == (4 * 8 * 8 + 4 * 8, 4 * 4 * 64 + 2 * 16 * 8, 1280)
    assert [sample.round for sample in msa.samples] == list(range(6))
    assert all(sample.seconds > 0 for sample in msa.samples)
    assert (msa.threads, msa.flags["threads"], msa.protocol) == (1, "1", QUICK)
    assert sum(isinstance(fact, Timed) for fact in seen) == 12
    assert (liar.macs, liar.macs_closed_form) == (4 * 8 * 8, 7)
    assert (liar.warmup_calls, liar.calls_per_sample) == (1, 1)
    assert liar.warmup_s is not None
    assert 0.1 <= liar.warmup_s < 1
    assert msa.calls_per_sample is not None
    assert msa.calls_per_sample > 1
    positions = [
        (a.position, b.position) for a, b in zip(*(row.samples for row in found.records), strict=True)
    ]
    assert set(positions) == {(0, 1), (1, 0)}
    assert not (tmp_path / runner.SHARD).exists()


def test_a_worker_that_dies_leaves_rows_that_say_so(plugin: Path, tmp_path: Path):
    finished, found, _ = measure(plugin, tmp_path, ["msa", "dies"])
    assert finished
    assert {row.outcome for row in found.records} == {"crashed"}
    assert all("ended with status 9" in (row.reason or "") for row in found.records)


LONG = Protocol(rounds=1000, max_seconds=60, least_warmup_s=0, most_warmup_s=0, min_sample_s=0, seed=0)


def interrupt_when(shard: Path, word: str, times: int) -> None:
    """Press Ctrl-C, from a thread, as soon as the shard holds a word so many times."""

    def watch() -> None:
        while not (shard.exists() and shard.read_text().count(word) >= times):
            threading.Event().wait(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


def test_an_interrupt_keeps_what_was_measured_and_ends_the_run(plugin: Path, tmp_path: Path):
    interrupt_when(tmp_path / runner.SHARD, "Timed", 5)
    geometries = [GEOMETRY, Geometry(8, 2, 3, 3)]
    finished, found, _ = measure(plugin, tmp_path, ["msa", "slow"], LONG, geometries)
    assert not finished
    assert [(row.label, row.height) for row in found.records] == [("msa", 2), ("slow", 2)]
    assert all(row.outcome == "measured" and 1 <= len(row.samples) < 1000 for row in found.records)


def test_what_was_not_timed_before_an_interrupt_is_no_row(plugin: Path, tmp_path: Path):
    interrupt_when(tmp_path / runner.SHARD, "Warmed", 1)
    finished, found, _ = measure(plugin, tmp_path, ["slow", "liar"], LONG)
    assert not finished
    assert found.records == ()


def test_the_estimate_follows_batch_work_and_rounds_up_to_the_limit():
    (case, *_), counted = sweep_of(["msa"])[0].cases, Counted(0, 1, 10**9, 10**9, {}, ())
    known = runner.Survey(Environment(MACHINE, {}, macs_per_s=1e9), ((counted,),))

    def seconds(batch: int, rounds: int, max_seconds: float) -> float:
        block = Block((replace(case, batch=batch),))
        protocol = replace(QUICK, rounds=rounds, max_seconds=max_seconds, most_warmup_s=0)
        (estimate,) = runner.estimates_s([block], known, protocol)
        return estimate - runner.WORKER_START_S

    call_s = runner.SLOWER_THAN_MATMUL
    assert seconds(batch=1, rounds=5, max_seconds=1000) == pytest.approx(5 * call_s)
    assert seconds(batch=4, rounds=5, max_seconds=1000) == pytest.approx(20 * call_s)
    assert seconds(batch=4, rounds=500, max_seconds=1000) == 1000


def test_a_setting_without_a_meaning_is_the_users_mistake(plugin: Path, tmp_path: Path):
    with pytest.raises(AttnbenchError, match=r"alpha is 7\.0; it must lie between 0 and 1"):
        measure(plugin, tmp_path, ["msa", "hilo:alpha=7"])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path: Path):
    runner.open_folder(tmp_path / "run")
    with pytest.raises(AttnbenchError, match="already holds a run"):
        runner.open_folder(tmp_path / "run")


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AttnbenchError, match="cannot be written: Not a directory"):
        runner.open_folder(tmp_path / "file" / "run")
