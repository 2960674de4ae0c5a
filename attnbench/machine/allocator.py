"""Freed memory that a process keeps, instead of giving it back to the system and faulting it in again.

By default glibc gives large blocks back when they are freed. A layer's next call then takes its pages from
the system anew, which can cost more than the arithmetic, by what each process is dealt.
"""

import ctypes
from collections.abc import Mapping

# glibc: take memory from one heap, which shrinks only when this much of its end is free.
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**35)}
MMAP_MAX, TRIM_THRESHOLD = -4, -1  # the same by number, of malloc.h
LARGEST = 2**31 - 1  # glibc takes these as C's int


def without_allocator_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what lets a process keep the memory that it frees."""
    return {name: value for name, value in environment.items() if KEEP_FREED_MEMORY.get(name) != value}


def keep_freed_memory() -> None:
    """Let this process keep what it frees, as `KEEP_FREED_MEMORY` lets one that is yet to start.

    Another C library than glibc goes on as it does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, LARGEST)
