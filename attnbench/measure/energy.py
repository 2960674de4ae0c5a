"""Energy of calls, from a counter that the device's driver keeps.

The counter moves in steps of many milliseconds, longer than a sample lasts. So a layer's calls go on for as
long as some steps take, and both ends of what counts are moments at which the counter has just moved.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

PATIENCE = 4  # times what was asked for, until a counter that does not move is given up


class Meter(Protocol):
    """Joules that a device has used since some moment."""

    def __call__(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Spent:
    """What so many calls took, between two movements of the counter."""

    joules: float
    seconds: float
    calls: int


def meter_of(device: str) -> Meter | None:
    """The energy counter of a device; None where it has none, or nobody may read it."""
    if device != "cuda":
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # a driver that is odd in any way has no counter for us
        return None
    return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000


def spent(
    some_calls: Callable[[], int], meter: Meter, least_s: float, now: Callable[[], float] = time.perf_counter
) -> Spent | None:
    """What calls take over at least so many seconds of the counter; None where it hardly moves.

    `some_calls` makes some calls, waits until they are done, and says how many they were.
    """
    started, before, calls = now(), meter(), 0
    first: tuple[float, float, int] | None = None
    while now() - started < PATIENCE * least_s:
        calls += some_calls()
        moment, joules = now(), meter()
        if joules == before:
            continue
        before = joules
        if first is None:
            first = moment, joules, calls
        elif moment - first[0] >= least_s:
            return Spent(joules - first[1], moment - first[0], calls - first[2])
    return None
