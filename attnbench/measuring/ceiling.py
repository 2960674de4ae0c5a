"""What this machine can do at best, measured beside the layers: a large matmul and a large copy.

Both run in the same rounds as the members of a block, in the same dtype and with the same threads, so that a
layer's share of the limit is a paired ratio too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

import torch

from attnbench.machine.devices import device_of


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A call, and the multiply-adds and bytes that it comes to."""

    call: Callable[[], torch.Tensor]
    macs: int
    least_bytes: int


_in_use: WeakValueDictionary[tuple[str, torch.dtype, int, str], torch.Tensor] = WeakValueDictionary()


def ceiling(name: str, device: str, dtype: torch.dtype, threads: int) -> Ceiling:
    """The ceiling of this name, allocated on `device`; those of one process share what they compute on."""
    macs, least_bytes = work(name, device, dtype, threads)
    make = {"matmul": _matmul, "copy": _copy}[name]
    return Ceiling(make(device, dtype, threads), macs, least_bytes)


def work(name: str, device: str, dtype: torch.dtype, threads: int) -> tuple[int, int]:
    """The multiply-adds and bytes of the ceiling of this name; nothing is allocated."""
    side = device_of(device).matmul_side(threads)
    size = device_of(device).copy_bytes()
    return {"matmul": (side**3, 3 * side**2 * dtype.itemsize), "copy": (0, 2 * size)}[name]


def _matmul(device: str, dtype: torch.dtype, threads: int) -> Callable[[], torch.Tensor]:
    """A square product."""
    side = device_of(device).matmul_side(threads)
    left, right, out = (_numbers(device, dtype, side, role) for role in ("left", "right", "out"))
    # Rows by rows, as a linear layer multiplies: CPUs without 16-bit products are 20 times slower otherwise.
    return lambda: torch.mm(left, right.mT, out=out)


def _copy(device: str, dtype: torch.dtype, _threads: int) -> Callable[[], torch.Tensor]:
    """A copy from memory to memory: larger than the last cache, into pages that are there already."""
    size = device_of(device).copy_bytes()
    shared = [_bytes(device, size, role) for role in ("source", "target")]
    source, target = (numbers.view(dtype) for numbers in shared)

    def copy() -> torch.Tensor:
        assert shared  # alive for as long as this is, for the next format to find them
        return target.copy_(source)

    return copy


def _numbers(device: str, dtype: torch.dtype, side: int, role: str) -> torch.Tensor:
    """A square of random numbers, the same one for all who have it at a time."""
    key = (device, dtype, side, role)
    numbers = _in_use.get(key)
    if numbers is None:
        numbers = _in_use[key] = torch.randn(side, side, device=device).to(dtype)
    return numbers


def _bytes(device: str, size: int, role: str) -> torch.Tensor:
    """So many bytes of random numbers, which every format may read as its own."""
    key = (device, torch.float32, size, role)
    numbers = _in_use.get(key)
    if numbers is None:
        numbers = _in_use[key] = torch.randn(size // 4, device=device)
    return numbers
