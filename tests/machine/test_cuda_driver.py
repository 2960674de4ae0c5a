"""NVIDIA's GPUs, with a driver made of answers: two GPUs, of which torch computes on the second."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity

from attnbench.machine import system
from attnbench.machine.cuda import Cuda
from attnbench.machine.device import Gpu, State
from attnbench.machine.devices import device_of

SMI = {
    "driver_version": "570.1",
    "power.limit": "350.00",
    "ecc.mode.current": "Enabled",
    "clocks.max.sm": "1980",
    "clocks.sm": "1500",
    "temperature.gpu": "84",
    "power.draw": "199.9",
    "clocks_throttle_reasons.active": "0x00000000000000EC",
    "clocks_event_reasons_counters.sw_power_cap": "0",
    "clocks_event_reasons_counters.sw_thermal_slowdown": "20",
    "clocks_event_reasons_counters.hw_thermal_slowdown": "40",
    "clocks_event_reasons_counters.hw_power_brake_slowdown": "[N/A]",
}
"""What nvidia-smi says of the GPU at work, as the driver names it; all that it says of the other is 0."""


class Nvml(SimpleNamespace):
    """Stands in for `pynvml`: the millijoules of each GPU."""

    nvmlInit = staticmethod(lambda: None)  # noqa: N815
    nvmlDeviceGetHandleByUUID = staticmethod(str)  # noqa: N815
    nvmlDeviceGetMigMode = staticmethod(lambda _: (0, 0))  # noqa: N815
    nvmlDeviceGetTotalEnergyConsumption = staticmethod({"GPU-two": 2500, "GPU-one": 0}.__getitem__)  # noqa: N815


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs that torch and the driver see."""

    def smi(_: str, who: str, query: str, form: str) -> str:
        asked = query.removeprefix("--query-gpu=").split(",")
        assert form == "--format=csv,noheader,nounits"
        return ", ".join(SMI[field] if who == "--id=GPU-two" else "0" for field in asked)

    properties = [
        SimpleNamespace(name=name, total_memory=memory, multi_processor_count=count, uuid=uuid)
        for name, memory, count, uuid in (("One", 2**30, 8, "one"), ("Two", 2**34, 132, "two"))
    ]
    monkeypatch.setattr(system, "_first_line", smi)
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    for name, answer in {
        "is_available": lambda: True,
        "current_device": lambda: 1,
        "get_arch_list": list,
        "get_device_capability": lambda _: (9, 0),
        "get_device_properties": properties.__getitem__,
    }.items():
        monkeypatch.setattr(torch.cuda, name, answer)


def test_a_gpu_is_what_torch_and_the_driver_say_of_the_one_at_work(gpus: None):
    assert device_of("cuda").gpu() == Gpu("Two", 2**34, 132, "570.1", 350.0, "Enabled", 1980.0)


def test_its_state_is_that_of_the_gpu_at_work_with_what_held_it_back(gpus: None):
    assert device_of("cuda").state() == State(
        clock_mhz=1500.0,
        temperature_c=84.0,
        power_w=199.9,
        reasons=frozenset(
            {"power cap", "hardware slowdown", "heat (driver)", "heat (hardware)", "power brake"}
        ),
        held_back_us={"power cap": 0.0, "heat (driver)": 20.0, "heat (hardware)": 40.0},
    )


def test_its_energy_is_that_of_the_gpu_at_work_in_joules(gpus: None):
    meter = device_of("cuda").energy_meter()
    assert meter is not None
    assert meter() == 2.5


def fails(*_: object, **__: object) -> Any:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


@pytest.mark.parametrize(
    ("answers", "is_lost"),
    [
        ({}, False),
        ({"is_initialized": lambda: False, "synchronize": fails}, False),
        ({"is_current_stream_capturing": lambda: True}, True),
        ({"synchronize": fails}, True),
        ({"is_current_stream_capturing": fails}, True),
        ({"ones": fails}, True),
        ({"ones": lambda *_, **__: torch.tensor([3.0])}, True),
    ],
    ids=["well", "not begun", "capturing", "late error", "error", "no memory", "another number"],
)
def test_a_device_that_does_not_answer_any_more_is_lost(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], is_lost: bool
):
    well = {
        "is_initialized": lambda: True,
        "synchronize": lambda: None,
        "is_current_stream_capturing": lambda: False,
        "ones": lambda *_, **__: torch.tensor([1.0]),
    }
    for name, answer in (well | answers).items():
        monkeypatch.setattr(torch if name == "ones" else torch.cuda, name, answer)
    assert device_of("cuda").is_lost() is is_lost


def test_devices_that_cannot_be_used_are_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Cuda, "_is_seen", lambda _: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert "sees 2 devices. Check its build and the driver" in (device_of("cuda").absent() or "")


def test_the_profiler_watches_it_and_its_host_and_counts_the_time_of_kernels():
    assert device_of("cuda").activities() == [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    assert device_of("cuda").profiled_us(SimpleNamespace(device_time_total=3, cpu_time_total=5)) == 3.0
