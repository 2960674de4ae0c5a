"""NVML's energy counter, with its library made of numbers."""

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from attnbench.machine import cuda
from attnbench.machine.devices import device_of


class NVMLError(Exception):
    """As NVML's library has it."""


@pytest.fixture
def millijoules(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """What the counter says, one after the other; None for an error."""
    says: list[int | None] = []

    def total(handle: str) -> int:
        assert handle == "handle of GPU-1"
        told = says.pop(0)
        if told is None:
            raise NVMLError("Unknown Error")
        return told

    def parts(_handle: str) -> None:
        raise NVMLError("Not Supported")

    library = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID="handle of {}".format,
        nvmlDeviceGetTotalEnergyConsumption=total,
        nvmlDeviceGetMigMode=parts,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(cuda, "_uuid", lambda: "GPU-1")
    return says


def meter() -> Callable[[], float | None] | None:
    return device_of("cuda").energy_meter()


def test_it_counts_millijoules(millijoules: list[int | None]):
    millijoules += [1, 5_000, 7_500]
    joules = meter()
    assert joules
    assert (joules(), joules()) == (5.0, 7.5)


def test_a_gpu_without_a_counter_has_no_meter(millijoules: list[int | None]):
    millijoules += [None]
    assert meter() is None


def test_an_answer_that_does_not_come_is_unknown_and_no_error(millijoules: list[int | None]):
    millijoules += [1, 5_000, None, 7_500]
    joules = meter()
    assert joules
    assert [joules(), joules(), joules()] == [5.0, None, 7.5]


@pytest.mark.parametrize(("mode", "told"), [((1, 1), False), ((0, 1), True)])
def test_energy_of_a_gpu_that_is_shared_out_in_parts_is_nobodys(
    monkeypatch: pytest.MonkeyPatch, millijoules: list[int | None], mode: tuple[int, int], told: bool
):
    monkeypatch.setattr(sys.modules["pynvml"], "nvmlDeviceGetMigMode", lambda _: mode)
    millijoules += [1]
    assert (meter() is not None) == told
