"""Bytes that one call takes, exactly: in a process of its own, where nothing is timed."""

from dataclasses import replace

from torch import nn

from attnbench.cases.case import Case
from attnbench.machine.devices import device_of
from attnbench.machine.system import peak_process_bytes, reset_peak_process_bytes
from attnbench.measuring.layers import Data, check_results, make_call, untouched
from attnbench.records.record import Memory


def memory_of(layer: nn.Module, case: Case, data: Data, predicted_bytes: int | None = None) -> Memory | None:
    """What a call of the case takes beyond what is there before it; None where the device keeps no peak.

    The first call is left out, because it may fill caches; its results and its input are looked at, and the
    process watched meanwhile. The next one is measured, and one more, unless the first took to the byte what
    was predicted. A graph has the memory of the calls that it captures.
    """
    call = make_call(layer, replace(case, variant=replace(case.variant, cuda_graph=False)), data)
    reset = reset_peak_process_bytes()
    with untouched(data):
        check_results(call(), layer, case)
    process_bytes = peak_process_bytes() if reset else None
    device = device_of(case.device)
    there = [*layer.parameters(), *layer.buffers(), data.inputs[0]]
    if data.gradient is not None:
        there.append(data.gradient)
    entry_bytes = sum(tensor.nbytes for tensor in there)
    peaks: list[int] = []
    while len(peaks) < 2 and [entry_bytes + peak for peak in peaks] != [predicted_bytes]:
        layer.zero_grad()
        peak = device.peak_bytes(call)
        if peak is None:
            return None
        peaks.append(peak)
    return Memory(
        peak_bytes=max(peaks),
        entry_bytes=entry_bytes,
        scope=case.device,
        repeatable=len(set(peaks)) == 1,
        reserved_bytes=device.reserved_bytes(),
        process_bytes=process_bytes,
    )
