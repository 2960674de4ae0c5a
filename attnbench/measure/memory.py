"""Bytes that one call takes, exactly: in a process of its own, where nothing is timed."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import nn
from torch.autograd.profiler import profile  # torch.profiler's would load the compiler, for seconds

from attnbench.cases.case import Case
from attnbench.machine.system import peak_process_bytes, reset_peak_process_bytes
from attnbench.measure.layers import Data, check_results, make_call
from attnbench.records.record import Memory


def memory_of(layer: nn.Module, case: Case, data: Data) -> Memory:
    """What a call of the case takes beyond what is there before it.

    The first call is left out, because it may fill caches; its results are checked, and the process watched
    meanwhile. The two calls after it are measured. A graph has the memory of the calls that it captures.
    """
    call = make_call(layer, replace(case, variant=replace(case.variant, cuda_graph=False)), data)
    reset = reset_peak_process_bytes()
    check_results(call(), layer, case)
    process_bytes = peak_process_bytes() if reset else None
    measure = cuda_peak_bytes if case.device == "cuda" else cpu_peak_bytes
    peaks = []
    for _ in range(2):
        layer.zero_grad()
        peaks.append(measure(call))
    there = [*layer.parameters(), *layer.buffers(), data.inputs[0]]
    if data.gradient is not None:
        there.append(data.gradient)
    return Memory(
        peak_bytes=max(peaks),
        entry_bytes=sum(tensor.nbytes for tensor in there),
        scope=case.device,
        repeatable=len(set(peaks)) == 1,
        reserved_bytes=torch.cuda.max_memory_reserved() if case.device == "cuda" else None,
        process_bytes=process_bytes,
    )


def cpu_peak_bytes(call: Callable[[], object]) -> int:
    """The most that torch's CPU allocator has given out at once during the call, and not taken back.

    All its allocations and frees are added up in their order, so that the number is exact. What a library
    takes from the system by itself is not in it.
    """
    with profile(profile_memory=True, use_kineto=True) as profiler:
        call()
    events = profiler.kineto_results.events()  # its other outputs are files, or lose the order
    changes = [event for event in events if event.name() == "[memory]"]
    return highest(event.nbytes() for event in sorted(changes, key=lambda event: event.start_ns()))


def highest(changes: Iterable[int]) -> int:
    """The highest level that is reached from 0 by these changes, one after the other."""
    level = peak = 0
    for change in changes:
        level += change
        peak = max(peak, level)
    return peak


def cuda_peak_bytes(call: Callable[[], object]) -> int:
    """The most that torch's CUDA allocator has given out at once during the call, beyond what it had before.

    Workspaces of cuBLAS are there from the first call on, and so not in it: a whole model shares them.
    """
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
