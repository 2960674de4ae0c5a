"""What differs between kinds of device, and nothing else; torch is imported inside methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnbench.machine.clock import Clock

if TYPE_CHECKING:
    from attnbench.machine.fingerprint import Machine

DECIDE_ANY_TIME = (
    *("cpu", "cores", "logical_cores", "threads_per_core", "sockets", "numa_nodes", "last_level_cache_bytes"),
    *("capability", "governor", "turbo", "transparent_hugepages", "virtual", "cpu_quota"),
    *("python", "torch", "torch_commit", "parallel", "environment"),
)


IDLE = "idle"


@dataclass(frozen=True, slots=True)
class State:
    """How a device is at a moment; None = it does not tell.

    `reasons` name what sets its clock, `idle` among them; `held_back_us` has, by reason, how long the clock
    has been held back since some moment.
    """

    clock_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    reasons: frozenset[str] | None = None
    held_back_us: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """What a GPU is; None = nobody tells."""

    name: str
    memory_bytes: int
    processors: int | None
    driver: str | None = None
    power_limit_w: float | None = None
    ecc: str | None = None
    clock_max_mhz: float | None = None


class Device(ABC):
    """One kind of device that torch computes on.

    `name` is how `--device` and torch name it, `title` how tables do; `on_host` says that its work is done by
    the threads that the host is asked for, `keeps_peak` that its allocator tells the most that it gave out.
    `clock_lock` is the command that holds its clock, where there is one. `decides` are the fields of
    `Machine` that decide a time on it.
    """

    name: str
    title: str
    on_host: bool
    keeps_peak: bool = True
    clock_lock: str | None = None
    decides: tuple[str, ...]

    @abstractmethod
    def absent(self) -> str | None:
        """Why it cannot be used here; None where it can."""

    @abstractmethod
    def describe(self, machine: Machine, threads: int) -> list[str]:
        """The processor and what drives it, for over a table."""

    def gpu(self) -> Gpu | None:
        """The GPU that it is; None where it is none, or is not here."""
        return None

    @property
    def quick_batch(self) -> int:
        """Images in a call that is as long as a first impression needs."""
        return 64

    @abstractmethod
    def processor(self, machine: Machine) -> str:
        """The name of what computes."""

    @abstractmethod
    def clocks(self) -> tuple[Clock, Clock]:
        """The clock whose seconds count, and the wall clock that is its witness."""

    @abstractmethod
    def wait(self) -> None:
        """Until all that is queued is done."""

    def mark(self) -> Callable[[], None]:
        """Mark the end of what is queued; the call that comes back waits until all before it is done."""
        return lambda: None

    @abstractmethod
    def peak_bytes(self, call: Callable[[], object]) -> int | None:
        """The most that torch's allocator is asked for at once during the call, beyond what it was before.

        None where it keeps no peak.
        """

    @abstractmethod
    def free_bytes(self) -> int:
        """What may still be allocated."""

    @abstractmethod
    def total_bytes(self) -> int:
        """What there is in all, whoever uses it now."""

    @abstractmethod
    def matmul_side(self, threads: int) -> int:
        """Of a square product that shows what the device can do at best."""

    @abstractmethod
    def copy_bytes(self) -> int:
        """Of a copy that shows it: more than any cache holds."""

    def reserved_bytes(self) -> int | None:
        """The most that torch's allocator has held; None where it holds nothing back."""
        return None

    def refuses(self, *, dtype: str, cuda_graph: bool) -> str | None:
        """Why a way to run a layer has no meaning here; None where it has."""
        if dtype == "tf32":
            return "TF32 is how a CUDA device may round float32; take float32 or bfloat16 here"
        if cuda_graph:
            return "a CUDA graph is captured on a CUDA device; --compile is what saves calls here"
        return None

    def state(self) -> State:
        """How it is now, as far as it tells."""
        return State()

    def energy_meter(self) -> Callable[[], float | None] | None:
        """Joules used since some moment, None when it does not tell; None where nobody may read that."""
        return None

    def in_use(self) -> Sequence[int]:
        """The numbers of those of its kind that this process has begun to use; of GPUs alone."""
        return ()

    def is_lost(self) -> bool:
        """Whether it answers no more in this process."""
        return False

    def activities(self) -> list[Any]:
        """What torch's profiler must watch."""
        from torch.profiler import ProfilerActivity

        return [ProfilerActivity.CPU]

    def profiled_us(self, event: Any) -> float:
        """How long a profiled event took with all that is inside of it."""
        return float(event.cpu_time_total)
