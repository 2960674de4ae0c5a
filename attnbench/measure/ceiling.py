"""What this machine can do at best, measured beside the layers: a large matmul and a large copy.

Both run in the same rounds as the members of a block, in the same dtype and with the same threads, so that a
layer's share of the limit is a paired ratio too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from attnbench.machine.devices import device_of


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A call, and the multiply-adds and bytes that it comes to."""

    call: Callable[[], torch.Tensor]
    macs: int
    least_bytes: int


def ceiling(name: str, device: str, dtype: torch.dtype, threads: int) -> Ceiling:
    """The ceiling of this name, allocated on `device`."""
    return {"matmul": _matmul, "copy": _copy}[name](device, dtype, threads)


def _matmul(device: str, dtype: torch.dtype, threads: int) -> Ceiling:
    """A square product."""
    side = device_of(device).matmul_side(threads)
    left, right, out = (torch.randn(side, side, device=device).to(dtype) for _ in range(3))
    # Rows by rows, as a linear layer multiplies: CPUs without 16-bit products are 20 times slower otherwise.
    return Ceiling(lambda: torch.mm(left, right.mT, out=out), side**3, 3 * side**2 * dtype.itemsize)


def _copy(device: str, dtype: torch.dtype, _threads: int) -> Ceiling:
    """A copy from memory to memory: larger than the last cache, into pages that are there already."""
    size = device_of(device).copy_bytes()
    source = torch.randn(size // dtype.itemsize, device=device).to(dtype)
    target = source.clone()
    return Ceiling(lambda: target.copy_(source), 0, 2 * size)
