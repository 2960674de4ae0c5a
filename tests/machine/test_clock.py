"""Clocks wait for the work before they look at the time, and a device's holds no launch gaps."""

import math
from collections.abc import Callable

import pytest
import torch

from attnbench.machine.clock import WallClock
from attnbench.machine.cuda_clock import CudaClock
from attnbench.machine.devices import device_of
from tests.simulated_cuda import SimulatedCuda

FAST_S, SLOW_S = 200e-6, 4e-3


def test_the_wall_clock_waits_for_the_device_before_it_starts_and_before_it_stops():
    log: list[str] = []
    times = iter([10.0, 13.0])

    def now() -> float:
        log.append("look")
        return next(times)

    clock = WallClock(lambda: log.append("wait"), now)
    assert clock.time(lambda: log.append("call"), 2).seconds == 3.0
    assert log == ["wait", "look", "call", "call", "wait", "look"]


def calls_in_five_ms(wall: WallClock, call: Callable[[], None]) -> int:
    return max(1, math.ceil(0.005 / wall.time(call, 1).seconds))


@pytest.mark.parametrize("depth", [500, 1024])
@pytest.mark.parametrize("device_s", [50e-6, FAST_S, 1e-3, SLOW_S])
@pytest.mark.parametrize("launches", [10, 19, 46, 80, 150, 400])
def test_a_devices_time_is_its_own_however_many_launches_a_call_has(
    launches: int, device_s: float, depth: int
):
    cuda = SimulatedCuda(depth=depth)
    clock, wall = CudaClock(cuda, lambda: cuda.now), WallClock(cuda.synchronize, lambda: cuda.now)
    call = cuda.layer(launches, device_s)
    calls = calls_in_five_ms(wall, call)
    for _ in range(5):
        reading = clock.time(call, calls)
        assert reading.seconds / calls == pytest.approx(device_s, rel=0.02)
        assert not reading.host_paced
    launching_s = launches * cuda.launch_s
    ratio = wall.time(call, calls).seconds / reading.seconds
    assert ratio == pytest.approx(max(1, launching_s / device_s), rel=0.1)


def test_a_call_that_waits_for_the_device_itself_is_said_to_be_paced_by_the_host():
    cuda = SimulatedCuda()
    work = cuda.layer(10, FAST_S)

    def call() -> None:
        work()
        cuda.synchronize()

    clock = CudaClock(cuda, lambda: cuda.now)
    readings = [clock.time(call, 20) for _ in range(2)]
    assert [reading.host_paced for reading in readings] == [True, True]
    assert readings[0].seconds / 20 == pytest.approx(FAST_S + cuda.launch_s, rel=0.01)


def test_the_device_sleeps_for_no_longer_than_a_quarter_of_a_second():
    cuda = SimulatedCuda()
    work = cuda.layer(1, FAST_S)

    def call() -> None:
        cuda.now += 0.3
        work()

    clock = CudaClock(cuda, lambda: cuda.now)
    assert [clock.time(call, 1).host_paced for _ in range(2)] == [True, True]


class Cold(SimulatedCuda):
    """A device whose first sleep loads code, and takes longer."""

    def _sleep(self, cycles: int) -> None:
        self.launch(cycles / self.cycles_per_s + 0.05 * (self.free_at == 0))


def test_the_first_sample_of_a_device_needs_no_second_try_although_its_first_sleep_loads_code():
    cuda, calls = Cold(), []
    work = cuda.layer(3, FAST_S)

    def call() -> None:
        calls.append(cuda.now)
        work()

    assert CudaClock(cuda, lambda: cuda.now).time(call, 20).seconds / 20 == pytest.approx(FAST_S)
    assert len(calls) == 20


def test_how_many_launches_a_device_queues_is_soon_found_out():
    cuda, calls = SimulatedCuda(depth=200), []
    work = cuda.layer(40, FAST_S)

    def call() -> None:
        calls.append(cuda.now)
        work()

    clock = CudaClock(cuda, lambda: cuda.now)
    clock.time(call, 64)
    assert len(calls) < 10 * 64


def test_one_call_that_waits_does_not_speak_for_another():
    cuda = SimulatedCuda()
    clock = CudaClock(cuda, lambda: cuda.now)
    clock.time(cuda.synchronize, 3)
    assert not clock.time(cuda.layer(10, FAST_S), 3).host_paced


def test_a_host_that_stumbles_once_costs_a_try_and_no_time():
    cuda = SimulatedCuda()
    work, stumbles = cuda.layer(40, FAST_S), iter([False] * 40 + [True] + [False] * 1000)

    def call() -> None:
        work()
        cuda.now += 0.05 if next(stumbles) else 0

    clock = CudaClock(cuda, lambda: cuda.now)
    for _ in range(6):
        reading = clock.time(call, 20)
        assert reading.seconds / 20 == pytest.approx(FAST_S)
        assert not reading.host_paced
    started = cuda.now
    clock.time(call, 20)
    assert cuda.now - started < 0.02


def test_a_host_that_was_held_up_for_a_whole_sample_is_believed_again_in_the_next():
    cuda = SimulatedCuda()
    work, held_up = cuda.layer(40, SLOW_S), iter([True] * 4 + [False] * 100)

    def call() -> None:
        work()
        cuda.now += 0.3 if next(held_up) else 0

    clock = CudaClock(cuda, lambda: cuda.now)
    assert [clock.time(call, 1).host_paced for _ in range(4)] == [True, False, False, False]
    assert clock.time(call, 3).seconds / 3 == pytest.approx(SLOW_S)


def sleeps_of(cuda: SimulatedCuda, clock: CudaClock, call: Callable[[], None], calls: int) -> int:
    """How often the device sleeps for a sample."""
    slept, sleep = [0], cuda._sleep

    def counted(cycles: int) -> None:
        slept[0] += 1
        sleep(cycles)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "_sleep", counted)
        assert not clock.time(call, calls).host_paced
    return slept[0]


def test_a_host_that_was_held_up_once_queues_as_many_calls_as_before():
    cuda = SimulatedCuda()
    work, held_up = cuda.layer(5, FAST_S), iter([True] * 40 + [False] * 1000)

    def call() -> None:
        work()
        cuda.now += 0.3 if next(held_up) else 0

    clock = CudaClock(cuda, lambda: cuda.now)
    assert [sleeps_of(cuda, clock, call, 8) for _ in range(3)][1:] == [1, 1]


def test_a_device_that_takes_no_more_calls_at_once_is_not_tried_with_more_for_ever():
    cuda = SimulatedCuda(depth=100)
    clock, call = CudaClock(cuda, lambda: cuda.now), cuda.layer(30, FAST_S)
    assert [sleeps_of(cuda, clock, call, 8) for _ in range(3)][1:] == [4, 4]


def test_a_call_that_waits_in_every_sample_is_not_tried_for_ever():
    cuda, made = SimulatedCuda(), [0]

    def call() -> None:
        made[0] += 1
        cuda.synchronize()

    clock = CudaClock(cuda, lambda: cuda.now)
    assert all(clock.time(call, 1).host_paced for _ in range(5))
    before = made[0]
    clock.time(call, 1)
    assert made[0] == before + 1


def test_the_sleep_follows_the_devices_clock():
    cuda = SimulatedCuda(cycles_per_s=345e6)
    clock, call = CudaClock(cuda, lambda: cuda.now), cuda.layer(80, FAST_S)
    clock.time(call, 10)
    cuda.cycles_per_s = 1.98e9
    clock.time(call, 10)
    started = cuda.now
    assert clock.time(call, 10).seconds / 10 == pytest.approx(FAST_S)
    slept_s = cuda.now - started - 10 * FAST_S
    assert slept_s == pytest.approx(1.5 * 10 * 80 * cuda.launch_s, rel=0.1)


def test_a_cpu_has_one_clock_for_both_times():
    clock, witness = device_of("cpu").clocks()
    assert clock is witness


def test_a_cuda_device_is_timed_by_events_with_the_wall_clock_beside_them():
    clock, witness = device_of("cuda").clocks()
    assert isinstance(clock, CudaClock)
    assert isinstance(witness, WallClock)
    assert witness.wait == device_of("cuda").wait


@pytest.mark.cuda
def test_on_a_gpu_device_time_is_close_to_the_wall_time_of_long_work():
    a = torch.randn(4096, 4096, device="cuda")
    times = [clock.time(lambda: a @ a, 20).seconds for clock in device_of("cuda").clocks()]
    assert times[0] == pytest.approx(times[1], rel=0.2)
