"""The machine and the software that made a number."""

import dataclasses
import getpass
import json
import platform

import psutil
import pytest
import torch

from attnbench import machine as machine_module
from attnbench.errors import AttnbenchError
from attnbench.machine import inspect_machine, physical_cores, require_device
from tests.fakes import MACHINE


def test_the_machine_is_described_without_its_or_its_users_name():
    machine = inspect_machine()
    assert machine.torch == torch.__version__
    assert machine.memory_bytes == psutil.virtual_memory().total
    assert machine.cpu
    assert "(R)" not in machine.cpu
    assert "model name" not in machine.cpu
    text = json.dumps(dataclasses.asdict(machine)).lower()
    assert platform.node().lower() not in text or len(platform.node()) < 4
    assert getpass.getuser() not in text.split('"')


@pytest.mark.parametrize(
    ("allowed", "physical", "cores"), [([0, 1, 2, 3], 2, 2), ([0], 4, 1), ([0, 1], None, 1)]
)
def test_cores_are_physical_ones_that_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch, allowed: list[int], physical: int | None, cores: int
):
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: allowed, raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: physical)
    assert physical_cores() == cores


def test_each_device_has_its_own_processor():
    assert (MACHINE.processor("cpu"), MACHINE.processor("cuda")) == ("Abacus", "Loom")
    assert MACHINE.describe("cpu", 1) == "Abacus, 1 thread, torch 2.13.0"
    assert MACHINE.describe("cuda", 2) == "Loom, torch 2.13.0"


@pytest.mark.parametrize(("changes", "commit"), [("", "abc"), (" M file.py", "abc+")])
def test_a_commit_is_marked_where_files_differ_from_it(
    monkeypatch: pytest.MonkeyPatch, changes: str, commit: str
):
    answers = {"rev-parse": "abc", "status": changes or None}
    monkeypatch.setattr(machine_module, "_first_line", lambda *command: answers[command[3]])
    assert inspect_machine().commit == commit


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_gpu_is_said_with_what_torch_sees():
    with pytest.raises(
        AttnbenchError, match=rf"no CUDA device.*torch {torch.__version__.split('+')[0]}.*sees 0 devices"
    ):
        require_device("cuda")


def test_a_device_that_is_not_one_is_refused():
    with pytest.raises(AttnbenchError, match="'tpu' is not known; use cpu or cuda"):
        require_device("tpu")
