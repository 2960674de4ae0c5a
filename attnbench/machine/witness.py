"""What else happened on the machine while a session was measured.

A witness never changes or drops a sample: it is stored beside them and becomes advice.
"""

import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import psutil

from attnbench.machine.cuda import REASONS
from attnbench.machine.device import State
from attnbench.machine.devices import device_of
from attnbench.machine.system import control_groups, logical_cores, system_text

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Witness:
    """What one session saw of its machine; None = the system does not tell, or there is no GPU in use.

    `cpu_s` is this process's time on all cores, `others_cpu_s` that of everything else; both, `steal_s` and
    `throttled_s` add up over cores and can exceed `wall_s`. `pressure_s` is how long some process of the
    system waited for a core, `load` the average of the minute before. `gpu_throttle_reasons` held its clock
    back meanwhile; `idle` is among them where it was so at the start or the end.
    """

    session: int
    device: str
    started_at: str
    wall_s: float
    cpu_s: float
    others_cpu_s: float
    steal_s: float | None
    pressure_s: float | None
    involuntary_switches: int | None
    throttled_s: float | None
    swapped_bytes: int | None
    load: float
    logical_cores: int
    gpu_clock_mhz_start: float | None
    gpu_clock_mhz_end: float | None
    gpu_temperature_c: float | None
    gpu_power_w: float | None
    gpu_throttle_reasons: str | None


class Watch:
    """Sees one session from where it is made to where it is asked, in the process that measures.

    On a CUDA device it is best made once the GPU is warm: an idle GPU's clock says nothing.
    """

    def __init__(self, session: int, device: str) -> None:
        self.session = session
        self.device = device
        self.started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self.load = psutil.getloadavg()[0]
        self.gpu = device_of(device).state()
        self.start = _counters()

    def witness(self) -> Witness:
        """What happened since the watch was made."""
        end = _counters()
        gpu = device_of(self.device).state()
        cpu_s = end.cpu_s - self.start.cpu_s
        return Witness(
            session=self.session,
            device=self.device,
            started_at=self.started_at,
            wall_s=end.wall_s - self.start.wall_s,
            cpu_s=cpu_s,
            others_cpu_s=max(0.0, end.busy_s - self.start.busy_s - cpu_s),
            steal_s=_increase(self.start.steal_s, end.steal_s),
            pressure_s=_increase(self.start.pressure_s, end.pressure_s),
            involuntary_switches=_increase(self.start.involuntary_switches, end.involuntary_switches),
            throttled_s=_increase(self.start.throttled_s, end.throttled_s),
            swapped_bytes=_increase(self.start.swapped_bytes, end.swapped_bytes),
            load=self.load,
            logical_cores=logical_cores(),
            gpu_clock_mhz_start=self.gpu.clock_mhz,
            gpu_clock_mhz_end=gpu.clock_mhz,
            gpu_temperature_c=gpu.temperature_c,
            gpu_power_w=gpu.power_w,
            gpu_throttle_reasons=_reasons(self.gpu, gpu),
        )


@dataclass(frozen=True, slots=True)
class _Counters:
    """Sums since the system or this process started."""

    wall_s: float
    cpu_s: float
    busy_s: float
    steal_s: float | None
    pressure_s: float | None
    involuntary_switches: int | None
    throttled_s: float | None
    swapped_bytes: int | None


def _counters() -> _Counters:
    system: Mapping[str, float] = psutil.cpu_times()._asdict()
    busy = ("user", "nice", "system", "irq", "softirq")  # Linux counts a guest's time as the user's
    return _Counters(
        wall_s=time.perf_counter(),
        cpu_s=time.process_time(),
        busy_s=sum(system.get(name, 0.0) for name in busy),
        steal_s=system.get("steal"),
        pressure_s=_pressure_s(),
        involuntary_switches=_involuntary_switches(),
        throttled_s=_throttled_s(),
        swapped_bytes=_swapped_bytes(),
    )


def _pressure_s() -> float | None:
    """How long some process has waited for a core, from a line `some avg10=… total=<µs>`."""
    some = (system_text("proc/pressure/cpu") or "").partition("\n")[0]
    total_us = some.partition("total=")[2]
    return int(total_us) / 1e6 if total_us else None


def _involuntary_switches() -> int | None:
    """How often a thread of this process lost its core; psutil counts the main thread's alone."""
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _throttled_s() -> float | None:
    """How long the control groups kept this process off its cores for want of quota."""
    throttled = [_group_throttled_s(group) for group in control_groups("cpu")]
    told = [seconds for seconds in throttled if seconds is not None]
    return sum(told) if told else None


def _group_throttled_s(group: str) -> float | None:
    """cgroups v2 write µs, v1 ns."""
    lines = (system_text(f"{group}/cpu.stat") or "").splitlines()
    statistics = dict(line.split(" ", 1) for line in lines)
    if "throttled_usec" in statistics:
        return int(statistics["throttled_usec"]) / 1e6
    return int(statistics["throttled_time"]) / 1e9 if "throttled_time" in statistics else None


def _swapped_bytes() -> int | None:
    """What the system has swapped in and out; psutil warns where it does not know."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            swap = psutil.swap_memory()
        except RuntimeWarning:
            return None
    return swap.sin + swap.sout


def _reasons(start: State, end: State) -> str | None:
    """What held the device's clock back from one state to the other, and whether it was idle at either.

    Its counters say so of what they count. Of other reasons, and of all where none is told, the states do.
    """
    if start.reasons is None or end.reasons is None:
        return None
    either = start.reasons | end.reasons
    if start.held_back_us is not None and end.held_back_us is not None:
        counted = end.held_back_us.keys()
        risen = {name for name, us in end.held_back_us.items() if us > start.held_back_us.get(name, us)}
        either = (either - counted) | risen
    return ", ".join(name for name in REASONS.values() if name in either)


def _increase(start: Number | None, end: Number | None) -> Number | None:
    return None if start is None or end is None else end - start
