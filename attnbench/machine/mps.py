"""Apple's GPUs, through torch's `mps` (Metal Performance Shaders)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from attnbench.errors import AttnbenchError
from attnbench.machine import system
from attnbench.machine.accelerator import Accelerator
from attnbench.machine.device import Gpu

BFLOAT16_SINCE = 14  # of macOS


class Mps(Accelerator):
    """An Apple GPU, which shares the host's memory.

    Its events tell when the host heard that the work before them was done, by the host's clock.
    """

    name = "mps"
    title = "MPS"
    keeps_peak = False
    decides = (*Accelerator.decides, "system")  # its driver is macOS
    needs = "macOS on Apple silicon and torch's build for it"

    def is_ruled_out(self) -> bool:
        return sys.platform != "darwin"

    def gpu(self) -> Gpu | None:
        import torch

        if self.absent():
            return None
        tells: Any = torch.backends.mps  # of the GPU itself not in every torch; it is named as its chip
        return Gpu(
            name=tells.get_name() if hasattr(tells, "get_name") else system.cpu_name(),
            memory_bytes=self.module.recommended_max_memory(),
            processors=tells.get_core_count() if hasattr(tells, "get_core_count") else None,
        )

    def refuses(self, *, dtype: str, cuda_graph: bool) -> str | None:
        import torch

        if dtype == "float64":
            return "MPS has no float64; take float32, or --device cpu"
        if dtype == "bfloat16" and not torch.backends.mps.is_macos_or_newer(BFLOAT16_SINCE, 0):
            return f"MPS has bfloat16 from macOS {BFLOAT16_SINCE} on; take float16 here"
        return super().refuses(dtype=dtype, cuda_graph=cuda_graph)

    def peak_bytes(self, call: Callable[[], object]) -> int | None:
        """Its allocator tells what is there now, and not the most that there was."""
        return None

    def reserved_bytes(self) -> int | None:
        return None

    def free_bytes(self) -> int:
        """Of what Metal recommends to use, what this process does not; the host must have it, too."""
        recommended = self.module.recommended_max_memory() - self.module.driver_allocated_memory()
        return max(0, min(int(recommended), system.available_memory_bytes()))

    def total_bytes(self) -> int:
        """What Metal recommends to use of the memory that it shares with the host."""
        return int(self.module.recommended_max_memory())

    def in_use(self) -> Sequence[int]:
        """It is from the beginning."""
        return range(self.module.device_count())

    def activities(self) -> list[Any]:
        raise AttnbenchError("torch's profiler does not see what MPS does; profile on --device cpu.")
