"""NVIDIA's GPUs: their own clock, their allocator, and what their driver tells."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attnbench.machine import torch_build
from attnbench.machine.accelerator import Accelerator
from attnbench.machine.clock import Clock, WallClock
from attnbench.machine.cuda_clock import CudaClock
from attnbench.machine.device import DECIDE_ANY_TIME, IDLE, Gpu, State
from attnbench.machine.system import decimal, query_gpu

if TYPE_CHECKING:
    from attnbench.machine.fingerprint import Machine

REASONS = {
    0x01: IDLE,
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "heat (driver)",
    0x40: "heat (hardware)",
    0x80: "power brake",
}
"""nvmlClocksEventReasons of NVML's reference; those left out are clocks that somebody chose."""

HELD_BACK = {
    "sw_power_cap": "power cap",
    "sw_thermal_slowdown": "heat (driver)",
    "hw_thermal_slowdown": "heat (hardware)",
    "hw_power_brake_slowdown": "power brake",
}
"""The driver's counters of time at a clock that nobody chose, as `nvidia-smi` names them."""

FIRST_WITH_TF32 = (8, 0)  # compute capability
TF32_OVERRIDE = "NVIDIA_TF32_OVERRIDE"  # to which cuBLAS and cuDNN listen, and torch does not


class Cuda(Accelerator):
    """An NVIDIA GPU."""

    name = "cuda"
    title = "GPU"
    clock_lock = "sudo nvidia-smi --lock-gpu-clocks=<MHz>"
    decides = (
        *DECIDE_ANY_TIME,
        *("gpu", "gpu_processors", "gpu_power_limit_w", "gpu_ecc", "gpu_clock_max_mhz"),
        *("driver", "cuda", "cudnn", "triton"),
    )

    def is_ruled_out(self) -> bool:
        """torch's build for AMD's GPUs calls them CUDA devices, too."""
        if torch_build.is_without("cuda", "hip"):
            return True
        return torch_build.is_without("hip") and not torch_build.has_cuda_driver()

    def _is_seen(self) -> bool:
        import torch

        return bool(torch.cuda.is_available())

    def absent(self) -> str | None:
        return super().absent() or self._without_code()

    def _without_code(self) -> str | None:
        """That torch was built without code for the GPU, on which then nothing at all runs."""
        import torch

        capability, built = self._capability(), torch.cuda.get_arch_list()
        if not (capability and built) or any(_runs(code, capability) for code in built):
            return None
        name = torch.cuda.get_device_properties(torch.cuda.current_device()).name
        return (
            f"torch {torch.__version__} was built for {' '.join(built)}, and has no code for this GPU, "
            f"{name} ({_named(capability)}): install a build that has it (https://pytorch.org/get-started), "
            "choose another GPU by CUDA_VISIBLE_DEVICES, or use --device cpu."
        )

    def _capability(self) -> tuple[int, int] | None:
        """NVIDIA's number for the kind of GPU; None where none is seen, or it is another maker's."""
        import torch

        if torch.version.hip or not torch.cuda.is_available():
            return None
        with warnings.catch_warnings():  # torch says of any GPU of the machine what it has no code for
            warnings.simplefilter("ignore")
            return torch.cuda.get_device_capability(torch.cuda.current_device())

    def _absence(self, build: Mapping[str, str | None]) -> str:
        built_for = f"built for CUDA {build.get('cuda')}" if build.get("cuda") else "built without CUDA"
        seen = self.module.device_count() if torch_build.is_loaded() else 0
        return (
            f"There is no CUDA device to measure on: torch {build.get('__version__')}, {built_for}, sees "
            f"{seen} devices. Check its build and the driver, or use --device cpu."
        )

    def gpu(self) -> Gpu | None:
        import torch

        if self.absent():
            return None
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        asked = ("driver_version", "power.limit", "ecc.mode.current", "clocks.max.sm")
        driver, power_limit, ecc, clock_max = query_gpu(*asked, uuid=_uuid())
        return Gpu(
            name=properties.name,
            memory_bytes=properties.total_memory,
            processors=properties.multi_processor_count,
            driver=driver,
            power_limit_w=decimal(power_limit),
            ecc=ecc,
            clock_max_mhz=decimal(clock_max),
        )

    def describe(self, machine: Machine, threads: int) -> list[str]:
        driver = f"driver {machine.driver or 'unknown'}"
        return [self.processor(machine), driver, f"CUDA {machine.cuda or 'unknown'}"]

    def clocks(self) -> tuple[Clock, Clock]:
        import torch

        return CudaClock(torch.cuda), WallClock(self.wait)

    def refuses(self, *, dtype: str, cuda_graph: bool) -> str | None:
        """Where there is no TF32, torch makes the products in float32, whatever it is told."""
        if dtype == "tf32" and os.environ.get(TF32_OVERRIDE) == "0":
            return f"{TF32_OVERRIDE}=0 forbids TF32 to all of CUDA's libraries: unset it, or take float32"
        if dtype == "tf32" and (capability := self._capability()) and capability < FIRST_WITH_TF32:
            return f"this GPU ({_named(capability)}) has no TF32, which came with 8.0; take float32 here"
        return None

    def state(self) -> State:
        uuid = _uuid()
        asked = ("clocks.sm", "temperature.gpu", "power.draw", "clocks_throttle_reasons.active")
        clock, temperature, power, bits = query_gpu(*asked, uuid=uuid)
        counters = [f"clocks_event_reasons_counters.{name}" for name in HELD_BACK]
        held = zip(HELD_BACK.values(), map(decimal, query_gpu(*counters, uuid=uuid)), strict=True)
        told = {reason: us for reason, us in held if us is not None}
        return State(decimal(clock), decimal(temperature), decimal(power), _reasons(bits), told or None)

    def energy_meter(self) -> Callable[[], float | None] | None:
        try:
            import pynvml

            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByUUID(_uuid())
            if _is_parted(pynvml, handle):
                return None  # the counter is that of the whole GPU, with what others do on it
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        except Exception:  # a driver that is odd in any way has no counter for us
            return None

        def joules() -> float | None:
            try:
                return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
            except pynvml.NVMLError:
                return None

        return joules

    def is_lost(self) -> bool:
        """Whether an error stays, as most do, or a capture has not come to its end."""
        import torch

        if not torch.cuda.is_initialized():
            return False
        try:
            torch.cuda.synchronize()
            return torch.cuda.is_current_stream_capturing() or torch.ones(1, device="cuda").item() != 1
        except Exception:
            return True

    def activities(self) -> list[Any]:
        from torch.profiler import ProfilerActivity

        return [ProfilerActivity.CPU, ProfilerActivity.CUDA]

    def profiled_us(self, event: Any) -> float:
        """The time of its kernels."""
        return float(event.device_time_total)


def _named(capability: tuple[int, int]) -> str:
    return "compute capability {}.{}".format(*capability)


def _runs(code: str, capability: tuple[int, int]) -> bool:
    """Whether code such as `sm_86`, or `compute_90` that the driver compiles, runs on such a GPU."""
    kind, _, number = code.partition("_")
    digits = number.rstrip("af")
    if not digits.isdigit():
        return True  # what we do not know we do not refuse
    major, minor = divmod(int(digits), 10)
    if kind == "compute":
        return (major, minor) <= capability
    return major == capability[0] and minor <= capability[1]


def _uuid() -> str | None:
    """The driver's name of the GPU that torch computes on; None where torch does not know it."""
    import torch

    if not torch.cuda.is_available():
        return None
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    return f"GPU-{properties.uuid}" if hasattr(properties, "uuid") else None


def _is_parted(nvml: Any, handle: Any) -> bool:
    """Whether a GPU is shared out in MIG's parts, of which torch sees one."""
    try:
        current, _pending = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:  # of a kind that has no parts
        return False
    return bool(current)


def _reasons(bits: str | None) -> frozenset[str] | None:
    try:
        active = int(bits or "", base=16)
    except ValueError:
        return None
    return frozenset(name for bit, name in REASONS.items() if active & bit)
