"""Apple's and Intel's GPUs, with torch's modules for them made of numbers."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity

from attnbench.cases.registry import discover
from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.machine import system
from attnbench.machine.accelerator import EventClock
from attnbench.machine.device import Gpu, State
from attnbench.machine.devices import DEVICES, device_of, exact_device, present, require
from attnbench.machine.fingerprint import inspect_machine
from attnbench.measuring.accuracy import ask_in_float64
from attnbench.measuring.execution import CannotRun, require_runnable
from attnbench.measuring.layers import Data
from attnbench.measuring.memory import memory_of
from attnbench.measuring.sketch import sketch
from tests.fakes import MACHINE, changed
from tests.shards import case
from tests.simulated_cuda import Event, SimulatedCuda

FAST_S, SLOW_S = 200e-6, 4e-3
OTHERS = ["mps", "xpu"]
MIB, GIB = 2**20, 2**30
BLOCK = 512  # of memory, of which less was asked for


@dataclass
class FakeGpu:
    """Stands in for `torch.mps` and `torch.xpu`; `log` has what was asked of it, in order.

    Of what it gives out it keeps the most, as Intel's allocator does, and what is given back it holds.
    """

    fp64: bool = True
    is_begun: bool = True
    told: tuple[str, ...] = ("requested_bytes", "allocated_bytes")
    allocated: int = 100
    by_driver: int = 400
    reserved: int = 100
    highest: int = 0
    most_reserved: int = 0
    log: list[str] = field(default_factory=list)

    def synchronize(self) -> None:
        self.log.append("wait")

    def is_initialized(self) -> bool:
        return self.is_begun

    def device_count(self) -> int:
        return 2

    def empty_cache(self) -> None:
        self.reserved = self.allocated

    def reset_peak_memory_stats(self) -> None:
        self.highest, self.most_reserved = self.allocated, self.reserved

    def max_memory_reserved(self) -> int:
        return self.most_reserved

    def memory_stats(self) -> dict[str, int]:
        """Blocks are larger than what is asked for; what an allocator does not count is 0."""
        counts = {
            "allocated_bytes": (self.allocated, self.highest + BLOCK),
            "requested_bytes": (self.allocated, self.highest),
        }
        told = {name: both if name in self.told else (0, 0) for name, both in counts.items()}
        return {
            f"{name}.all.{when}": number
            for name, both in told.items()
            for when, number in zip(("current", "peak"), both, strict=True)
        }

    def mem_get_info(self) -> tuple[int, int]:
        return 700, 1000

    def recommended_max_memory(self) -> int:
        return 1000

    def driver_allocated_memory(self) -> int:
        return self.by_driver

    def clock_rate(self) -> float:
        return 1550.0

    def temperature(self) -> float:
        raise RuntimeError("GPU temperature querying is not available.")

    def get_device_properties(self) -> Any:
        return SimpleNamespace(
            name="Arc",
            total_memory=2**34,
            max_compute_units=512,
            driver_version="1.6",
            has_fp64=self.fp64,
        )

    def takes(self, number: int) -> None:
        """Give out so much, and take it back."""
        self.highest = max(self.highest, self.allocated + number)
        self.reserved = max(self.reserved, self.highest)
        self.most_reserved = max(self.most_reserved, self.reserved)


@dataclass
class FakeEvent:
    """Stands in for `torch.Event`: says of which device it is, once it is recorded."""

    device: str
    enable_timing: bool = False
    is_recorded: bool = False

    def record(self) -> None:
        self.is_recorded = True

    def synchronize(self) -> None:
        raise LookupError(self.device if self.is_recorded else "nothing to wait for")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    """A GPU that is there, under both names."""
    fake = FakeGpu()
    for name in OTHERS:
        monkeypatch.setattr(torch, name, fake)
    metal = {"get_name": "Apple M4", "get_core_count": 10, "is_macos_or_newer": True}
    for name, value in metal.items():
        monkeypatch.setattr(torch.backends.mps, name, lambda *_, value=value: value, raising=False)
    return fake


def seen(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let torch see a device of this kind."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(name))


def clock_of(device: SimulatedCuda) -> EventClock:
    return EventClock(lambda: device.Event(enable_timing=True), device.synchronize, lambda: device.now)


@pytest.mark.parametrize("launches", [1, 10, 40])
@pytest.mark.parametrize("calls", [1, 2, 25])
def test_a_device_that_is_slower_than_the_host_is_timed_by_its_own_clock(launches: int, calls: int):
    device = SimulatedCuda(depth=10**6)
    reading = clock_of(device).time(device.layer(launches, SLOW_S), calls)
    assert reading.seconds / calls == pytest.approx(SLOW_S, rel=0.01)
    assert not reading.host_paced


def test_the_first_launch_is_in_no_sample_of_several_calls():
    device = SimulatedCuda(depth=10**6, launch_s=FAST_S)
    work = device.layer(1, 2 * FAST_S)
    assert clock_of(device).time(work, 2).seconds == pytest.approx(4 * FAST_S, rel=1e-9)


@pytest.mark.parametrize("launches", [40, 100])
def test_a_device_that_waits_for_its_launches_says_so(launches: int):
    device = SimulatedCuda()
    reading = clock_of(device).time(device.layer(launches, FAST_S), 25)
    assert reading.host_paced
    assert reading.seconds >= 25 * launches * device.launch_s * 0.9


def test_a_sample_begins_when_nothing_is_in_flight():
    device = SimulatedCuda(depth=2)
    device.launch(1.0)
    assert not clock_of(device).time(device.layer(4, SLOW_S), 1).host_paced


@dataclass
class MetalEvent(Event):
    """As torch's events of MPS: one notice that it is over, which whoever waits for it uses up.

    Its elapsed time waits for that of the later event, in vain where somebody has waited for it before.
    """

    used_up: bool = False

    def synchronize(self) -> None:
        super().synchronize()
        self.used_up = True

    def elapsed_time(self, other: Event) -> float:
        assert isinstance(other, MetalEvent)
        assert other.query(), "read before it is over"
        assert not other.used_up, "waits for ever"
        return super().elapsed_time(other)


def test_nobody_waits_for_an_event_whose_elapsed_time_would_then_never_come():
    device = SimulatedCuda()
    clock = EventClock(lambda: MetalEvent(device), device.synchronize, lambda: device.now)
    for calls in (1, 25):
        assert clock.time(device.layer(10, SLOW_S), calls).seconds / calls == pytest.approx(SLOW_S, rel=0.02)


@pytest.mark.parametrize("name", OTHERS)
def test_clocks_take_torchs_events_of_the_device_and_wait_for_it(
    name: str, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch, "Event", FakeEvent)
    clock, wall = device_of(name).clocks()
    assert isinstance(clock, EventClock)
    assert clock.event() == FakeEvent(name, enable_timing=True)
    assert wall.time(lambda: gpu.log.append("call"), 1).seconds >= 0
    assert gpu.log == ["wait", "call", "wait"]
    with pytest.raises(LookupError, match=name):
        device_of(name).mark()()


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
@pytest.mark.parametrize(("name", "needs"), [("mps", "macOS on Apple silicon"), ("xpu", "an Intel GPU")])
def test_a_device_that_is_not_there_says_what_it_needs(name: str, needs: str):
    title = device_of(name).title
    with pytest.raises(
        AttnbenchError, match=rf"no {title} device .*torch .* sees none.*needs {needs}.*cpu\."
    ):
        require(name)
    assert device_of(name).gpu() is None
    assert not device_of(name).is_lost()


@pytest.mark.parametrize("name", OTHERS)
def test_a_device_that_torch_sees_is_there_and_no_other_accelerator(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    seen(monkeypatch, name)
    assert present() == ("cpu", name)


def test_the_peak_is_what_a_call_takes_beyond_what_was_there(gpu: FakeGpu):
    gpu.takes(10**6)
    assert device_of("xpu").peak_bytes(lambda: gpu.takes(300)) == 300
    assert device_of("xpu").reserved_bytes() == 400
    assert (device_of("xpu").free_bytes(), device_of("xpu").total_bytes()) == (700, 1000)


def test_a_peak_is_told_when_what_was_queued_is_done(gpu: FakeGpu):
    device_of("xpu").peak_bytes(lambda: gpu.log.append("call"))
    assert gpu.log == ["wait", "call", "wait"]


def test_a_gpu_is_in_use_once_a_process_has_begun_with_it(gpu: FakeGpu):
    assert [list(device_of(name).in_use()) for name in OTHERS] == [[0, 1], [0, 1]]
    gpu.is_begun = False
    assert [list(device_of(name).in_use()) for name in OTHERS] == [[0, 1], []]


def test_what_the_allocator_keeps_for_later_is_free(gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch):
    kept = [200]
    monkeypatch.setattr(gpu, "empty_cache", kept.clear)
    monkeypatch.setattr(gpu, "mem_get_info", lambda: (700 - sum(kept), 1000))
    assert device_of("xpu").free_bytes() == 700


@pytest.mark.parametrize(
    ("total", "side", "copied"),
    [
        (80 * GIB, 8192, GIB),
        (24 * GIB - 5**12, 8192, 760 * MIB),
        (16 * GIB - 5**12, 4096, 504 * MIB),
        (8 * GIB, 4096, 256 * MIB),
        (4 * GIB, 4096, 128 * MIB),
    ],
)
@pytest.mark.parametrize("name", ["cuda", "xpu"])
def test_ceilings_leave_a_small_gpu_to_the_layers(
    monkeypatch: pytest.MonkeyPatch, name: str, total: int, side: int, copied: int
):
    monkeypatch.setattr(torch, name, SimpleNamespace(mem_get_info=lambda: (0, total)))
    assert (device_of(name).matmul_side(1), device_of(name).copy_bytes()) == (side, copied)
    held = 3 * 4 * side**2 + 2 * copied
    assert held < total / 8


@pytest.mark.parametrize(
    ("told", "peak"),
    [
        (("requested_bytes", "allocated_bytes"), 300),
        (("allocated_bytes",), 300 + BLOCK),
        ((), None),
    ],
)
def test_a_peak_is_of_what_was_asked_for_or_of_blocks_where_nobody_tells_that(
    gpu: FakeGpu, told: tuple[str, ...], peak: int | None
):
    gpu.told = told
    assert device_of("xpu").peak_bytes(lambda: gpu.takes(300)) == peak


@pytest.mark.parametrize(("there", "taken", "free"), [(10**6, 400, 600), (250, 400, 250), (10**6, 1200, 0)])
def test_an_apple_gpu_shares_what_the_host_has(
    gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch, there: int, taken: int, free: int
):
    gpu.by_driver = taken
    monkeypatch.setattr(system, "available_memory_bytes", lambda: there)
    assert (device_of("mps").free_bytes(), device_of("mps").total_bytes()) == (free, 1000)
    assert device_of("mps").reserved_bytes() is None


def test_memory_is_not_measured_where_the_allocator_keeps_no_peak(monkeypatch: pytest.MonkeyPatch):
    asked = case()
    x = torch.zeros(asked.workload.shape)
    monkeypatch.setitem(DEVICES, asked.device, device_of("mps"))
    assert memory_of(nn.Identity(), asked, Data((x,), None)) is None


@pytest.mark.parametrize(
    ("name", "variant", "says"),
    [
        ("mps", Variant(dtype="float64"), "MPS has no float64"),
        ("mps", Variant(dtype="tf32"), "TF32 is how a CUDA device"),
        ("mps", Variant(cuda_graph=True), "a CUDA graph is captured on a CUDA device"),
        ("xpu", Variant(dtype="float64"), "this XPU computes no float64"),
        ("xpu", Variant(dtype="tf32"), "TF32 is how a CUDA device"),
        ("xpu", Variant(cuda_graph=True), "a CUDA graph is captured on a CUDA device"),
    ],
)
def test_what_a_device_cannot_do_has_a_reason(gpu: FakeGpu, name: str, variant: Variant, says: str):
    gpu.fp64 = False
    with pytest.raises(CannotRun, match=says):
        require_runnable(variant, name)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", OTHERS)
def test_what_it_can_do_is_not_refused(gpu: FakeGpu, name: str, dtype: str):
    require_runnable(Variant("fused", dtype, "default"), name)


def test_an_old_macos_has_no_bfloat16(gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch):
    bfloat16 = Variant(dtype="bfloat16")
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *asked: asked <= (14, 0))
    require_runnable(bfloat16, "mps")
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *asked: asked <= (13, 6))
    with pytest.raises(CannotRun, match="bfloat16 from macOS 14 on"):
        require_runnable(bfloat16, "mps")


def test_float64_is_computed_on_the_host_for_a_device_that_has_none(gpu: FakeGpu):
    assert [exact_device(name) for name in DEVICES] == ["cpu", "cuda", "cpu", "xpu"]
    gpu.fp64 = False
    assert exact_device("xpu") == "cpu"


def test_a_reference_in_float64_needs_no_device_that_has_it():
    registry = discover()
    asked = changed(case(), device="mps", settings=registry.choose("msa").settings)
    assert ask_in_float64(registry, asked, 0).answer[0].device.type == "cpu"


class HostOnly(torch.Tensor):
    """A tensor of a device without float64: the number format may change once it is on the host."""

    home = "mps"

    @property
    def device(self) -> Any:  # type: ignore[override]
        return torch.device(self.home)

    def to(self, *args: Any, **kwargs: Any) -> Any:
        assert args == ("cpu",)
        return self.as_subclass(torch.Tensor)

    def double(self, *args: Any) -> Any:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")


def test_results_are_looked_at_on_the_host_where_the_device_has_no_float64(gpu: FakeGpu):
    x = torch.randn(2, 4, 8)
    (found,) = sketch((x.as_subclass(HostOnly), None))
    torch.testing.assert_close(found, sketch((x, None))[0])


def test_machines_say_which_gpu_they_have(gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    seen(monkeypatch, "xpu")
    machine = inspect_machine()
    assert (machine.gpu, machine.gpu_memory_bytes, machine.gpu_processors) == ("Arc", 2**34, 512)
    assert machine.describe("xpu", 2).startswith("Arc, driver 1.6, torch")
    seen(monkeypatch, "mps")
    machine = inspect_machine()
    assert (machine.gpu, machine.gpu_memory_bytes, machine.gpu_processors) == ("Apple M4", 1000, 10)
    assert machine.describe("mps", 2).startswith("Apple M4, torch")


def test_a_torch_that_tells_nothing_of_an_apple_gpu_names_its_chip(
    gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
):
    """As those before 2.9."""
    seen(monkeypatch, "mps")
    for name in ("get_name", "get_core_count"):
        monkeypatch.delattr(torch.backends.mps, name)
    monkeypatch.setattr(system, "cpu_name", lambda: "Apple M4")
    assert device_of("mps").gpu() == Gpu("Apple M4", 1000, None)


def test_what_drives_an_accelerator_decides_its_times():
    assert MACHINE.decisive("xpu")["driver"] == "1.0"
    assert MACHINE.decisive("mps")["system"] == "Linux 6"
    assert MACHINE.decisive("mps")["gpu"] == "Loom"


def test_a_driver_that_does_not_tell_everything_tells_what_it_does(gpu: FakeGpu):
    assert device_of("xpu").state() == State(clock_mhz=1550.0)
    assert device_of("mps").state() == State()


def test_the_profiler_watches_intels_gpus_and_cannot_watch_apples():
    assert device_of("xpu").activities() == [ProfilerActivity.CPU, ProfilerActivity.XPU]
    assert device_of("xpu").profiled_us(SimpleNamespace(device_time_total=3, cpu_time_total=5)) == 3.0
    with pytest.raises(AttnbenchError, match="profiler does not see what MPS does"):
        device_of("mps").activities()
