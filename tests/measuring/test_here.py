"""Measuring in the process of a notebook: what its user has set neither counts there nor changes."""

import gc
import os
import random
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import attnbench
from attnbench.machine.cuda import Cuda
from attnbench.measuring.precision import NEW, OLD
from attnbench.measuring.seeds import read_numpy

MATMUL: Any = getattr(torch.backends.mkldnn, "matmul")  # noqa: B009
FEW: dict[str, Any] = {"shape": (2, 16, 16), "seconds": 0.2, "threads": 1}


@contextmanager
def _set(read: Callable[[], Any], write: Callable[[Any], object], value: object) -> Iterator[None]:
    before = read()
    write(value)
    yield
    write(before)


def _set_device(device: object) -> None:
    torch.set_default_device(None if device == torch.device("cpu") else device)  # type: ignore[arg-type]


AROUND: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": partial(torch.autocast, "cpu"),
    "a default device": partial(_set, torch.get_default_device, _set_device, "meta"),
    "a device around": partial(torch.device, "meta"),
    "a default number format": partial(_set, torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "a precision of products": partial(
        _set, torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"
    ),
    "another precision of products": partial(
        _set, lambda: MATMUL.fp32_precision, partial(setattr, MATMUL, "fp32_precision"), "bf16"
    ),
    "more threads": partial(_set, torch.get_num_threads, torch.set_num_threads, 3),
}


def _told(read: Callable[[], object]) -> object:
    """What torch says, or that it does not."""
    try:
        return read()
    except RuntimeError as refusal:
        return str(refusal)


def state() -> dict[str, Any]:
    """What a process has that other code of it would notice."""
    return {
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "device": torch.get_default_device(),
        "dtype": torch.get_default_dtype(),
        "precision": [each.fp32_precision for each in NEW],
        "products": [_told(read) for read, _ in OLD],
        "threads": torch.get_num_threads(),
        "numbers": (torch.get_rng_state().tolist(), random.getstate(), read_numpy()),
        "environment": dict(os.environ),
        "collector": (gc.isenabled(), gc.get_freeze_count()),
        "directory": Path.cwd(),
        "running": threading.active_count(),
    }


@pytest.fixture(autouse=True)
def _nothing_frozen() -> None:
    """Mechanisms that another test has loaded are kept from the collector until rounds have been timed."""
    gc.unfreeze()


class Mine(nn.Linear):
    """Makes a tensor of its own in each call, as many position codes are made."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.ones(x.shape[-1])


class Keeps(nn.Linear):
    """Has a module that keeps a tensor for all its layers, and needs a matrix of all tokens."""

    kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if Keeps.kept is None:
            Keeps.kept = torch.ones(x.shape[-1])
        return super().forward((x @ x.mT).softmax(dim=-1) @ x) * Keeps.kept


class Stopped(nn.Linear):
    """Is interrupted in a later call, as by somebody who does not want to wait."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        Stopped.calls += 1
        if Stopped.calls > 40:
            raise KeyboardInterrupt
        return super().forward(x)


@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("name", AROUND)
def test_what_the_code_around_has_set_neither_counts_nor_changes(name: str, mode: str):
    layers: dict[str, nn.Module | str] = {"mine": Mine(16, 16), "theirs": "xca"}
    with AROUND[name]():
        before = state()
        table = attnbench.measure(layers, mode=mode, full=True, **FEW)
        assert state() == before
    assert list(table["outcome"]) == ["measured"] * 2, list(table["reason"])
    assert table.set_index("label").loc["mine", "macs"] == 16 * 16 * 16
    if mode == "inference" or torch.version.cuda is None:  # built for GPUs, torch goes backward in no copy
        assert table["predicted_bytes"].notna().all()
    assert set(table["dtype"]) == {"float32"}


def test_an_interrupt_is_passed_on_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    layer, before = Stopped(16, 16), state()
    with pytest.raises(KeyboardInterrupt):
        attnbench.measure(layer, **FEW)
    assert state() == before
    assert list(tmp_path.iterdir()) == []


def test_it_can_be_called_from_a_thread_and_again():
    tables: list[Any] = []
    layer, before = nn.Linear(16, 16), state()
    for _ in range(2):
        thread = threading.Thread(target=lambda: tables.append(attnbench.measure(layer, **FEW)))
        thread.start()
        thread.join()
    assert [list(table["outcome"]) for table in tables] == [["measured"]] * 2
    assert state() == before


def test_words_leave_the_collector_as_it_was():
    with pytest.raises(attnbench.AttnbenchError, match="are both msa"):  # once all mechanisms are loaded
        attnbench.measure({"a": "msa", "b": "msa"}, **FEW)
    assert gc.get_freeze_count() == 0


def test_what_a_caller_keeps_from_the_collector_is_kept_from_it_then():
    gc.freeze()
    attnbench.measure(Mine(8, 8), **FEW)
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


@pytest.mark.skipif(sys.platform != "linux", reason="a copy of this process is asked")
def test_what_needs_more_than_there_is_is_refused_and_leaves_no_fake_tensor():
    (line,) = attnbench.measure(Keeps(8, 8), **FEW | {"shape": (4, 2**17, 8)}, heads=1).to_dict("records")
    assert (line["outcome"], Keeps.kept) == ("out_of_memory", None)
    assert re.match(r"it needs [\d.,]+ GiB by prediction, and [\d.,]+ GiB are available", line["reason"])


def test_a_gpu_that_is_not_in_use_yet_keeps_the_seed_of_its_user(monkeypatch: pytest.MonkeyPatch):
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    torch.manual_seed(42)
    attnbench.measure(nn.Linear(16, 16), **FEW)
    assert seeds[-1] == 42


def test_a_gpu_that_is_in_use_goes_on_from_its_own_state(monkeypatch: pytest.MonkeyPatch):
    states: list[str] = []
    monkeypatch.setattr(Cuda, "in_use", lambda _: [1])
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: f"that of {device}")
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, _: states.append(state))
    attnbench.measure(nn.Linear(16, 16), **FEW)
    assert set(states) == {"that of 1"}
