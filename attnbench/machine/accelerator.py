"""What GPUs have in common in torch, whoever makes them: work that is queued, events in it, an allocator."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnbench.machine import torch_build
from attnbench.machine.clock import Clock, Reading, WallClock
from attnbench.machine.device import DECIDE_ANY_TIME, Device

if TYPE_CHECKING:
    from attnbench.machine.fingerprint import Machine

KEEPING_UP = 0.9  # of the device's time; a host that needs more of it to launch leaves gaps
LARGE_BYTES = 2**34  # of memory, more than cards of 16 GB have left
COPIED_SHARE = 32  # of all memory is copied, a GiB at most
COUNTED = ("requested_bytes.all", "allocated_bytes.all")
"""What torch's allocators count: CUDA's own the second alone, and none at all where nothing is cached."""


class Accelerator(Device):
    """A GPU, which works off what is queued while the host goes on.

    `needs` says what a machine must have for torch to see it.
    """

    on_host = False
    decides: tuple[str, ...] = (*DECIDE_ANY_TIME, "gpu", "gpu_processors", "driver")
    needs: str

    @property
    def module(self) -> Any:
        """torch's module of this name, such as `torch.cuda`."""
        import torch

        return getattr(torch, self.name)

    def absent(self) -> str | None:
        """torch is imported to be asked only where nothing else rules the device out."""
        if not (not torch_build.is_loaded() and self.is_ruled_out()) and self._is_seen():
            return None
        return self._absence(torch_build.versions())

    def is_ruled_out(self) -> bool:
        """Whether torch cannot see one here, by what is known without asking it."""
        return False

    def _is_seen(self) -> bool:
        import torch

        current = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return current is not None and current.type == self.name

    def _absence(self, build: Mapping[str, str | None]) -> str:
        """The sentence that says that there is none."""
        return (
            f"There is no {self.title} device to measure on: torch {build.get('__version__')} sees none. It "
            f"needs {self.needs}; or use --device cpu."
        )

    def describe(self, machine: Machine, threads: int) -> list[str]:
        return [self.processor(machine), *([f"driver {machine.driver}"] if machine.driver else [])]

    def processor(self, machine: Machine) -> str:
        return machine.gpu or "unknown GPU"

    def clocks(self) -> tuple[Clock, Clock]:
        return EventClock(self._event, self.wait), WallClock(self.wait)

    def wait(self) -> None:
        self.module.synchronize()

    def mark(self) -> Callable[[], None]:
        event = self._event()
        event.record()
        return lambda: event.synchronize()

    def peak_bytes(self, call: Callable[[], object]) -> int | None:
        """The bytes that are asked for, and not the blocks of memory that are found for them.

        A block may be up to a MiB larger, by what was free when it was looked for. Workspaces that a library
        keeps are there from the first call on, and not in it.
        """
        allocator = self.module
        allocator.synchronize()
        allocator.empty_cache()
        allocator.reset_peak_memory_stats()
        before = allocator.memory_stats()
        call()
        allocator.synchronize()
        after = allocator.memory_stats()
        counted = next((name for name in COUNTED if before.get(f"{name}.current")), None)
        return int(after[f"{counted}.peak"] - before[f"{counted}.current"]) if counted else None

    def reserved_bytes(self) -> int | None:
        return int(self.module.max_memory_reserved())

    def free_bytes(self) -> int:
        """What torch's allocator keeps for later is free, too."""
        self.module.empty_cache()
        return int(self.module.mem_get_info()[0])

    def total_bytes(self) -> int:
        return int(self.module.mem_get_info()[1])

    def matmul_side(self, threads: int) -> int:
        """On a small GPU a smaller one, for it lies beside the layers."""
        return 8192 if self.total_bytes() >= LARGE_BYTES else 4096

    def copy_bytes(self) -> int:
        """A small share of the memory, which is many times what any GPU's cache holds."""
        return min(2**30, self.total_bytes() // COPIED_SHARE // 2**20 * 2**20)

    def in_use(self) -> Sequence[int]:
        return range(self.module.device_count()) if self.module.is_initialized() else ()

    def _event(self) -> Any:
        import torch

        return torch.Event(self.name, enable_timing=True)


class EventClock:
    """The device's own time between two events around the queued calls, where nothing makes it sleep first.

    The host launches while the device works. A sample in which it takes nearly as long as the device says so
    (`host_paced`): the device may have waited between launches. So does one that fills the device's queue,
    because there the host waits. Where there are several calls one more goes ahead, so that the device is at
    work when the first event is recorded.
    """

    def __init__(
        self, event: Callable[[], Any], wait: Callable[[], None], now: Callable[[], float] = time.perf_counter
    ) -> None:
        self.event = event
        self.wait = wait
        self.now = now

    def time(self, call: Callable[[], object], calls: int) -> Reading:
        """Seconds of the device in `calls` calls."""
        first, last = self.event(), self.event()
        self.wait()
        if calls > 1:
            call()
        first.record()
        started = self.now()
        for _ in range(calls):
            call()
        last.record()
        host_s = self.now() - started
        self.wait()  # for all: who waits for an event of MPS's uses up what its elapsed time waits for
        seconds = float(first.elapsed_time(last)) / 1000
        return Reading(seconds, host_paced=host_s > KEEPING_UP * seconds)
