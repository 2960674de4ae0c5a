"""All layers on the device, one line of JSON each: agreement with float64, memory, and times by each clock.

python smoke.py eager|graph FILE      DEVICE=cpu TINY=1 makes a dry run of it.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from attnbench import Geometry
from attnbench.cases.case import Mode
from attnbench.cases.registry import Registry, discover
from attnbench.cases.sweep import sweep
from attnbench.cases.variant import Variant
from attnbench.machine.devices import device_of
from attnbench.measuring import accuracy
from attnbench.measuring.execution import graphed, running
from attnbench.measuring.layers import build, make_call, make_data, make_step
from attnbench.measuring.memory import memory_of
from attnbench.measuring.timing import sample
from attnbench.measuring.worker import set_up_torch

DEVICE, TINY = os.environ.get("DEVICE", "cuda"), bool(os.environ.get("TINY"))
GEOMETRY, BATCH = (Geometry(96, 6, 14, 14), 2) if TINY else (Geometry(768, 12, 14, 14), 64)
WAYS = [
    (Mode.inference, "explicit", "float32"),
    (Mode.inference, "fused", "float32"),
    (Mode.inference, "explicit", "tf32"),
    (Mode.inference, "explicit", "bfloat16"),
    (Mode.inference, "fused", "bfloat16"),
    (Mode.inference, "fused", "float16"),
    (Mode.training, "explicit", "float32"),
    (Mode.training, "fused", "float32"),
    (Mode.training, "fused", "bfloat16"),
    (Mode.training, "efficient", "bfloat16"),
    (Mode.inference, "flash", "bfloat16"),
    (Mode.inference, "cudnn", "bfloat16"),
    (Mode.inference, "efficient", "float32"),
]
Row = dict[str, Any]
LOOKED_INTO = {
    (Mode.inference, Variant("explicit", "float32")),
    (Mode.inference, Variant("fused", "float32")),
    (Mode.inference, Variant("fused", "bfloat16")),
    (Mode.training, Variant("fused", "bfloat16")),
}
if DEVICE == "cuda":
    from triton.testing import do_bench  # type: ignore[import-not-found]
sync = device_of(DEVICE).wait


def main(what: str, path: str) -> None:
    set_up_torch(torch.get_num_threads())
    registry = discover()
    began = time.time()
    with Path(path).open("a", encoding="utf-8") as file:
        for mode, kernel, dtype in WAYS:
            if DEVICE == "cpu" and (dtype == "tf32" or kernel in ("cudnn", "efficient")):
                continue
            if what == "graph" and (mode is Mode.training or kernel not in ("explicit", "fused")):
                continue
            for name in registry:
                row: Row = {"what": what, "mode": str(mode), "kernel": kernel, "dtype": dtype, "name": name}
                try:
                    with torch.inference_mode(mode is Mode.inference):
                        row |= one(registry, name, mode, Variant(kernel, dtype), what)
                except Exception as error:
                    row["failed"] = f"{type(error).__name__}: {error}".partition("\n")[0][:300]
                row["at_s"] = round(time.time() - began, 1)
                file.write(json.dumps(row) + "\n")
                file.flush()
                if "CUDA error" in row.get("failed", ""):
                    print("the context is lost:", row)
                    return


questions: dict[tuple[str, Mode], accuracy.Question] = {}


def one(registry: Registry, name: str, mode: Mode, variant: Variant, what: str) -> Row:
    (block,) = sweep(
        [registry.choose(name)], [GEOMETRY], [DEVICE], batches=[BATCH], modes=[mode], variants=[variant]
    )
    case = block.members[0]
    row: Row = {}
    layer, data = build(registry, case, 0), make_data(case, 0)
    if what == "graph":
        step = make_step(layer, case, data.gradient)
        with running(variant):
            replay = graphed(step, data.inputs)
            replay()
            clock, _ = device_of(DEVICE).clocks()
            row["graph_us"] = 1e6 * median(sample(replay, 20, clock) for _ in range(5))
        return row
    key = (name, mode)
    if key not in questions:
        questions[key] = accuracy.ask_in_float64(registry, case, 0)
    found = accuracy._results(registry, case, questions[key].batch, questions[key].gradient, 0)
    row["errors"] = [
        accuracy.relative_error(*pair) for pair in zip(found, questions[key].answer, strict=True)
    ]
    row["bound"] = accuracy.BOUNDS[variant.dtype]
    del found
    memory = memory_of(layer, case, data)
    assert memory is not None
    row["peak_mib"], row["repeatable"] = memory.peak_bytes / 2**20, memory.repeatable
    if DEVICE == "cuda":
        row["blocks_mib"] = blocks_mib(make_call(layer, case, data))
    call = make_call(layer, case, data)
    clock, witness = device_of(DEVICE).clocks()
    with call.around():
        for _ in range(3):
            call.run()
        sync()
        issued = []
        for _ in range(5):
            sync()
            started = time.perf_counter()
            for _ in range(4):
                call.run()
            issued.append((time.perf_counter() - started) / 4)
            sync()
        row["host_us"] = 1e6 * median(issued)
        calls = max(1, math.ceil(0.005 / sample(call.run, 4, witness)))
        row["calls"] = calls
        readings = [clock.time(call.run, calls) for _ in range(5)]
        row["event_us"] = 1e6 * median(reading.seconds for reading in readings) / calls
        row["host_paced"] = sum(reading.host_paced for reading in readings)
        row["wall_us"] = 1e6 * median(sample(call.run, calls, witness) for _ in range(5))
        if (mode, variant) in LOOKED_INTO:
            row |= launches(call.run)
            if DEVICE == "cuda":
                row["do_bench_us"] = 1e3 * do_bench(call.run, warmup=5, rep=20, return_mode="median")
    return row


def blocks_mib(call: Callable[[], object]) -> float:
    """The most memory in blocks that one call is given, which are larger than what it asks for."""
    call()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def launches(call: Callable[[], object]) -> Row:
    """How many kernels one call launches, their time together, and which of attention are among them."""
    with torch.profiler.profile(activities=list(torch.profiler.supported_activities())) as profiler:
        call()
        sync()
    kernels = [
        event for event in profiler.events() if event.device_type == torch._C._autograd.DeviceType.CUDA
    ]
    attention = ("flash", "fmha", "cutlass", "cudnn", "sdpa", "mem_eff", "attention")
    names = {event.name[:90] for event in kernels if any(word in event.name.lower() for word in attention)}
    ops = {event.name for event in profiler.events() if event.name.startswith("aten::_scaled_dot_product")}
    busy_us = sum(event.device_time_total for event in kernels)
    return {"launches": len(kernels), "busy_us": busy_us, "attention": sorted(ops | names)}


if __name__ == "__main__":
    main(*sys.argv[1:])
