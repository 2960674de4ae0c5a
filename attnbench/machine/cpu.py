"""The processor that the host's own threads run on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from attnbench.machine import system
from attnbench.machine.clock import Clock, WallClock
from attnbench.machine.device import DECIDE_ANY_TIME, Device
from attnbench.words import plural

if TYPE_CHECKING:
    from attnbench.machine.fingerprint import Machine

MATMUL_SIDE = 1024  # 97 % of the rate of larger ones on two cores, in 7 ms
COPY_BYTES = 64 * 2**20


class Cpu(Device):
    """A CPU, whose work is done when a call returns."""

    name = "cpu"
    title = "CPU"
    on_host = True
    decides = DECIDE_ANY_TIME

    @property
    def quick_batch(self) -> int:
        """Rounds of a call of 64 images would last seconds, in which a machine that is shared changes."""
        return 8

    def absent(self) -> str | None:
        return None

    def describe(self, machine: Machine, threads: int) -> list[str]:
        virtual = ", virtual" if machine.virtual else ""
        cores = f"{machine.cpu} ({plural(machine.cores, 'core')}{virtual})"
        return [cores, plural(threads, "thread"), machine.capability]

    def processor(self, machine: Machine) -> str:
        return machine.cpu

    def clocks(self) -> tuple[Clock, Clock]:
        wall = WallClock(self.wait)
        return wall, wall

    def wait(self) -> None:
        """Nothing is queued."""

    def peak_bytes(self, call: Callable[[], object]) -> int:
        """All allocations and frees are added up in their order, so that the number is exact.

        What a library takes from the system by itself is not in it.
        """
        from torch.autograd.profiler import profile  # torch.profiler's would load the compiler, for seconds

        system.quieten_profiler()
        with profile(profile_memory=True, use_kineto=True) as profiler:
            call()
        events = profiler.kineto_results.events()  # its other outputs are files, or lose the order
        changes = [event for event in events if event.name() == "[memory]"]
        return highest(event.nbytes() for event in sorted(changes, key=lambda event: event.start_ns()))

    def energy_meter(self) -> Callable[[], float | None] | None:
        """That of all processor packages, where the kernel lets a user read it."""
        return system.package_energy_meter()

    def free_bytes(self) -> int:
        return system.available_memory_bytes()

    def total_bytes(self) -> int:
        """The memory of the machine, or what control groups allow of it."""
        return system.memory_limit_bytes() or system.memory_bytes()

    def matmul_side(self, threads: int) -> int:
        """It grows with the threads, so that each has as much to do."""
        return MATMUL_SIDE << int(math.log2(threads) / 3)

    def copy_bytes(self) -> int:
        return max(COPY_BYTES, system.last_level_cache_bytes() or 0)


def highest(changes: Iterable[int]) -> int:
    """The highest level that is reached from 0 by these changes, one after the other."""
    level = peak = 0
    for change in changes:
        level += change
        peak = max(peak, level)
    return peak
