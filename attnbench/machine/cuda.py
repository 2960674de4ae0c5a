"""NVIDIA's GPUs: their own clock, their allocator, and what their driver tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnbench.machine import torch_build
from attnbench.machine.accelerator import Accelerator
from attnbench.machine.clock import Clock, Reading, WallClock
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

FIRST_SLEEP_S = 0.0005  # of the device, before anything is known of how long the host queues a call
SPARE_SLEEP_S = 0.0001  # beyond what the host is expected to take
MARGIN = 1.5  # times what the host took at best
LONGEST_SLEEP_S = 0.25
PATIENCE = 3  # tries at a number of calls, each behind twice the sleep of the one before it
CALIBRATION_CYCLES = 1_000_000  # about half a millisecond of a GPU


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
        return None

    def state(self) -> State:
        uuid = _uuid()
        asked = ("clocks.sm", "temperature.gpu", "power.draw", "clocks_throttle_reasons.active")
        clock, temperature, power, bits = query_gpu(*asked, uuid=uuid)
        counters = [f"clocks_event_reasons_counters.{name}" for name in HELD_BACK]
        held = zip(HELD_BACK.values(), map(decimal, query_gpu(*counters, uuid=uuid)), strict=True)
        told = {reason: us for reason, us in held if us is not None}
        return State(decimal(clock), decimal(temperature), decimal(power), _reasons(bits), told or None)

    def energy_meter(self) -> Callable[[], float] | None:
        try:
            import pynvml

            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByUUID(_uuid())
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        except Exception:  # a driver that is odd in any way has no counter for us
            return None
        return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000

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


def _uuid() -> str | None:
    """The driver's name of the GPU that torch computes on; None where torch does not know it."""
    import torch

    if not torch.cuda.is_available():
        return None
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    return f"GPU-{properties.uuid}" if hasattr(properties, "uuid") else None


def _reasons(bits: str | None) -> frozenset[str] | None:
    try:
        active = int(bits or "", base=16)
    except ValueError:
        return None
    return frozenset(name for bit, name in REASONS.items() if active & bit)


@dataclass(frozen=True, slots=True)
class Queued:
    """What the device took from the first event to the last, and the host to queue what is between them."""

    device_s: float
    host_s: float
    ahead: bool


@dataclass(slots=True)
class Queueing:
    """How fast the host queues a call, and how many of it the device takes in at once.

    `most_calls` of 0 is a call that the host waits for itself, which nothing can be queued before.
    """

    host_s: float | None = None
    most_calls: int | None = None


class CudaClock:
    """The device's own time between two events around the queued calls.

    The device sleeps first, for longer than the host takes to queue the calls, so that the time holds no
    launch gaps. Whether it did is looked at in each sample: the first event must still be to come when the
    last one is queued. A sample whose launches do not fit into the device's queue is timed in parts. `cuda`
    is torch's module of this name, or what a test simulates.
    """

    def __init__(self, cuda: Any, now: Callable[[], float] = time.perf_counter) -> None:
        self.cuda = cuda
        self.now = now
        self._cycles_per_s = 0.0
        self._queueing: dict[Callable[[], object], Queueing] = {}

    def time(self, call: Callable[[], object], calls: int) -> Reading:
        """Seconds of the device in `calls` calls."""
        if not self._cycles_per_s:
            self._cycles_per_s = self._clock_rate()
        known = self._queueing.setdefault(call, Queueing())
        done, seconds = 0, 0.0
        while done < calls and known.most_calls != 0:
            part = min(calls - done, known.most_calls or calls)
            part_s = self._behind_a_sleep(call, part, known)
            if part_s is None:
                known.most_calls = part // 2
            else:
                done, seconds = done + part, seconds + part_s
        if done == calls:
            return Reading(seconds)
        queued = self._queue(call, calls, FIRST_SLEEP_S)
        return Reading(queued.device_s, host_paced=True)

    def _behind_a_sleep(self, call: Callable[[], object], calls: int, known: Queueing) -> float | None:
        """Seconds of calls that were all queued while the device slept; None where that cannot be had."""
        for attempt in range(PATIENCE):
            expected_s = 0.0 if known.host_s is None else MARGIN * known.host_s * calls
            sleep_s = max(FIRST_SLEEP_S, expected_s + SPARE_SLEEP_S) * 2**attempt
            queued = self._queue(call, calls, min(LONGEST_SLEEP_S, sleep_s))
            host_s = queued.host_s / calls
            known.host_s = host_s if known.host_s is None else min(known.host_s, host_s)
            if queued.ahead:
                return queued.device_s
        return None

    def _clock_rate(self) -> float:
        """Cycles a second of the device, from the second of two sleeps: the first may load code."""
        for _ in range(2):
            first, last = (self.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            self.cuda._sleep(CALIBRATION_CYCLES)
            last.record()
            last.synchronize()
        return CALIBRATION_CYCLES / (float(first.elapsed_time(last)) / 1000)

    def _queue(self, call: Callable[[], object], calls: int, sleep_s: float) -> Queued:
        """Queue a sleep and the calls behind it, and wait for all; the sleep tells the clock rate."""
        asleep, first, last = (self.cuda.Event(enable_timing=True) for _ in range(3))
        cycles = round(sleep_s * self._cycles_per_s)
        self.cuda.synchronize()
        asleep.record()
        self.cuda._sleep(cycles)
        first.record()
        started = self.now()
        for _ in range(calls):
            call()
        last.record()
        host_s = self.now() - started
        ahead = not first.query()
        last.synchronize()
        self._cycles_per_s = cycles / (asleep.elapsed_time(first) / 1000)
        return Queued(first.elapsed_time(last) / 1000, host_s, ahead)
