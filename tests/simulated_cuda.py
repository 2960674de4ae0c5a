"""A CUDA device that is simulated: a host that launches, and a stream that works off what is queued."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Event:
    """A mark in the stream, over once all work before it is."""

    device: "SimulatedCuda"
    enable_timing: bool = True
    over_at: float = 0.0

    def record(self) -> None:
        self.over_at = max(self.device.now, self.device.free_at)

    def query(self) -> bool:
        return self.over_at <= self.device.now

    def synchronize(self) -> None:
        self.device.now = max(self.device.now, self.over_at)

    def elapsed_time(self, other: "Event") -> float:
        return 1000 * (other.over_at - self.over_at)


@dataclass
class SimulatedCuda:
    """What `CudaClock` asks of `torch.cuda`; `now` is the host's time, `free_at` when the stream is empty.

    A launch costs the host `launch_s`, and waits while `depth` launches are queued.
    """

    cycles_per_s: float = 1.98e9
    launch_s: float = 6e-6
    depth: int = 1024
    now: float = 0.0
    free_at: float = 0.0
    queued: deque[float] = field(default_factory=deque)

    def Event(self, enable_timing: bool) -> Event:  # noqa: N802
        return Event(self, enable_timing)

    def synchronize(self) -> None:
        self.now = max(self.now, self.free_at)

    def _sleep(self, cycles: int) -> None:
        self.launch(cycles / self.cycles_per_s)

    def launch(self, device_s: float) -> None:
        self.now += self.launch_s
        while self.queued and self.queued[0] <= self.now:
            self.queued.popleft()
        if len(self.queued) >= self.depth:
            self.now = self.queued.popleft()
        self.free_at = max(self.now, self.free_at) + device_s
        self.queued.append(self.free_at)

    def layer(self, launches: int, device_s: float) -> Callable[[], None]:
        """A call of so many launches that take the device so long together."""

        def call() -> None:
            for _ in range(launches):
                self.launch(device_s / launches)

        return call
