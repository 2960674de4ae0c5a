"""Intel's GPUs, through torch's `xpu`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attnbench.machine import torch_build
from attnbench.machine.accelerator import Accelerator
from attnbench.machine.device import Gpu, State


class Xpu(Accelerator):
    """An Intel GPU; torch has no way to let it sleep while calls are queued."""

    name = "xpu"
    title = "XPU"
    needs = "an Intel GPU, its driver and torch's build for it"

    def is_ruled_out(self) -> bool:
        return torch_build.is_without("xpu")

    def gpu(self) -> Gpu | None:
        if self.absent():
            return None
        properties = self.module.get_device_properties()
        return Gpu(
            name=properties.name,
            memory_bytes=properties.total_memory,
            processors=properties.max_compute_units,
            driver=properties.driver_version,
        )

    def refuses(self, *, dtype: str, cuda_graph: bool) -> str | None:
        """Some of Intel's GPUs have no float64 of their own."""
        if dtype == "float64" and not self.module.get_device_properties().has_fp64:
            return "this XPU computes no float64; take float32, or --device cpu"
        return super().refuses(dtype=dtype, cuda_graph=cuda_graph)

    def state(self) -> State:
        """What its driver tells, which may want rights or a package (`pyzes`) that are not there."""
        return State(_told(self.module, "clock_rate"), _told(self.module, "temperature"))

    def activities(self) -> list[Any]:
        from torch.profiler import ProfilerActivity

        return [ProfilerActivity.CPU, ProfilerActivity.XPU]

    def profiled_us(self, event: Any) -> float:
        """The time of its kernels."""
        return float(event.device_time_total)


def _told(module: Any, quantity: str) -> float | None:
    try:
        ask: Callable[[], float] = getattr(module, quantity)
        return float(ask())
    except Exception:  # whatever a driver's library raises, it does not tell
        return None
