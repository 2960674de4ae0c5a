"""What can be told of torch's build and devices without importing it."""

import pytest
import torch

from attnbench.machine import torch_build
from attnbench.machine.accelerator import Accelerator
from attnbench.machine.cuda import Cuda
from attnbench.machine.devices import DEVICES
from attnbench.machine.mps import Mps
from attnbench.machine.xpu import Xpu


def test_the_file_says_of_the_build_what_torch_does():
    found = torch_build.versions()
    assert found["__version__"] == torch.__version__
    assert {name: found[name] for name in ("cuda", "hip")} == {
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
    }


@pytest.mark.parametrize(
    ("cuda", "hip", "driver", "is_ruled_out"),
    [
        (None, None, True, True),
        ("12.6", None, False, True),
        ("12.6", None, True, False),
        (None, "6.2", False, False),
    ],
)
def test_a_cuda_device_wants_a_build_and_a_driver(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, hip: str | None, driver: bool, is_ruled_out: bool
):
    monkeypatch.setattr(torch_build, "versions", lambda: {"cuda": cuda, "hip": hip})
    monkeypatch.setattr(torch_build, "has_cuda_driver", lambda: driver)
    assert Cuda().is_ruled_out() is is_ruled_out


@pytest.mark.parametrize(("platform", "is_ruled_out"), [("darwin", False), ("linux", True)])
def test_an_apple_gpu_wants_macos(monkeypatch: pytest.MonkeyPatch, platform: str, is_ruled_out: bool):
    monkeypatch.setattr("sys.platform", platform)
    assert Mps().is_ruled_out() is is_ruled_out


def test_a_build_that_says_nothing_rules_nothing_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch_build, "versions", dict)
    monkeypatch.setattr(torch_build, "has_cuda_driver", lambda: True)
    assert not Cuda().is_ruled_out()
    assert not Xpu().is_ruled_out()


@pytest.mark.parametrize("name", ["cuda", "xpu", "mps"])
def test_what_is_ruled_out_is_absent_before_torch_is_imported(monkeypatch: pytest.MonkeyPatch, name: str):
    device = DEVICES[name]
    assert isinstance(device, Accelerator)
    monkeypatch.setattr(torch_build, "is_loaded", lambda: False)
    monkeypatch.setattr(type(device), "_is_seen", lambda _: True)
    monkeypatch.setattr(type(device), "is_ruled_out", lambda _: True)
    assert f"There is no {'CUDA' if name == 'cuda' else device.title} device" in (device.absent() or "")
    monkeypatch.setattr(type(device), "is_ruled_out", lambda _: False)
    assert device.absent() is None


def test_torch_that_is_loaded_is_asked_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Xpu, "is_ruled_out", lambda _: True)
    monkeypatch.setattr(Xpu, "_is_seen", lambda _: True)
    assert Xpu().absent() is None
