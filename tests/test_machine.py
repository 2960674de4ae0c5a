"""The machine and the software that made a number."""

import dataclasses
import getpass
import json
import platform

import pytest
import torch

from attnbench.errors import AttnbenchError
from attnbench.machine import inspect_machine, physical_cores, require_device


def test_the_machine_is_described_without_its_or_its_users_name():
    machine = inspect_machine()
    assert machine.torch == torch.__version__
    assert machine.memory_bytes > 2**28
    text = json.dumps(dataclasses.asdict(machine)).lower()
    assert platform.node().lower() not in text or len(platform.node()) < 4
    assert getpass.getuser() not in text.split('"')


def test_there_is_at_least_one_core():
    assert physical_cores() >= 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_gpu_is_said_with_what_torch_sees():
    with pytest.raises(
        AttnbenchError, match=rf"no CUDA device.*torch {torch.__version__.split('+')[0]}.*sees 0 devices"
    ):
        require_device("cuda")


def test_a_device_that_is_not_one_is_refused():
    with pytest.raises(AttnbenchError, match="'tpu' is not known; use cpu or cuda"):
        require_device("tpu")
