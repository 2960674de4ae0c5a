"""What the layers' choices cost on a GPU: layouts of depthwise convolutions, samplers, biases; energy.

python micro.py FILE                  DEVICE=cpu TINY=1 makes a dry run of it.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F

DEVICE, TINY = os.environ.get("DEVICE", "cuda"), bool(os.environ.get("TINY"))
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
B = 2 if TINY else 64


Row = dict[str, Any]
Say = Callable[[Row], None]


def timed(call: Callable[[], object]) -> float:
    """Microseconds of one call: many of them queued behind a sleep."""
    for _ in range(3):
        call()
    if DEVICE == "cpu":
        started = time.perf_counter()
        call()
        return 1e6 * (time.perf_counter() - started)
    out = []
    for _ in range(5):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        torch.cuda._sleep(4_000_000)
        first.record()
        for _ in range(10):
            call()
        last.record()
        last.synchronize()
        out.append(100 * first.elapsed_time(last))
    return median(out)


def convolutions(say: Say) -> None:
    shapes = {  # of the layers at 14x14: channels, side, kernel, padding, dilation, stride, batch
        "van 5x5": (768, 14, 5, 2, 1, 1, B),
        "van 7x7 dilated 3": (768, 14, 7, 9, 3, 1, B),
        "hornet 7x7": (1440, 14, 7, 3, 1, 1, B),
        "dat 5x5": (768, 14, 5, 2, 1, 1, B),
        "quadtree 3x3": (768, 14, 3, 1, 1, 1, B),
        "cswin 3x3 stripes": (384, 7, 3, 1, 1, 1, 4 * B),
        "focal pool 7x7/7": (768, 14, 7, 0, 1, 7, B),
    }
    for name, (c, side, k, padding, dilation, stride, batch) in shapes.items():
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            tokens = torch.randn(batch, side * side, c, device=DEVICE, dtype=dtype)
            weight = torch.randn(c, 1, k, k, device=DEVICE, dtype=dtype)
            bias = torch.randn(c, device=DEVICE, dtype=dtype)
            last = tokens.unflatten(1, (side, side)).permute(0, 3, 1, 2)  # as the layers do it
            how = {"padding": padding, "dilation": dilation, "stride": stride, "groups": c}

            def as_layers(last=last, weight=weight, bias=bias, how=how):
                return F.conv2d(last, weight, bias, **how).permute(0, 2, 3, 1).flatten(1, 2)

            def planes(last=last, weight=weight, bias=bias, how=how):
                return F.conv2d(last.contiguous(), weight, bias, **how).permute(0, 2, 3, 1).flatten(1, 2)

            row: Row = {"what": "depthwise", "name": name, "dtype": str(dtype)}
            for label, call, benchmark, tf32 in (
                ("channels_last", as_layers, False, False),
                ("planes", planes, False, False),
                ("channels_last_benchmark", as_layers, True, False),
                ("channels_last_tf32", as_layers, False, True),
            ):
                try:
                    with torch.backends.cudnn.flags(enabled=True, benchmark=benchmark, allow_tf32=tf32):
                        row[label] = timed(call)
                except Exception as error:
                    row[label] = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
            say(row)


def samplers(say: Say) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        table = torch.randn(3 * B, 4, 27, 27, device=DEVICE, dtype=dtype)
        grid = torch.rand(3 * B, 196, 196, 2, device=DEVICE, dtype=dtype) * 2 - 1
        row: Row = {"what": "grid_sample", "name": "dat bias", "dtype": str(dtype)}
        call = partial(F.grid_sample, table, grid, align_corners=True)
        for label, cudnn in (("default", True), ("without_cudnn", False)):
            with torch.backends.cudnn.flags(enabled=cudnn):
                row[label] = timed(call)
        say(row)


def biases(say: Say) -> None:
    """Fused attention whose bias is the same for all images: expanded first, as attnbench does it, or not."""
    cases = {"shifted-window": (B * 12, 4, 49, 49), "focal": (B, 48, 49, 190)}
    for name, (b, h, n, m) in cases.items():
        for dtype in (torch.float32, torch.bfloat16):
            q = torch.randn(b, h, n, 64, device=DEVICE, dtype=dtype)
            k, v = (torch.randn(b, h, m, 64, device=DEVICE, dtype=dtype) for _ in range(2))
            bias = torch.randn(h, n, m, device=DEVICE, dtype=dtype)
            row: Row = {"what": "bias", "name": name, "dtype": str(dtype)}
            expanded = bias.expand(b, h, n, m)
            padded = F.pad(bias, (0, -m % 8))[..., :m][None]
            for label, given in (
                ("none", None),
                ("expanded", expanded),
                ("broadcast", bias[None]),
                ("aligned", padded),
            ):
                call = partial(F.scaled_dot_product_attention, q, k, v, given)
                row[label] = timed(call)
                if DEVICE == "cuda":
                    torch.cuda.reset_peak_memory_stats()
                    before = torch.cuda.memory_allocated()
                    call()
                    torch.cuda.synchronize()
                    row[f"{label}_mib"] = (torch.cuda.max_memory_allocated() - before) / 2**20
            say(row)


def witness(say: Say) -> None:
    """What nvidia-smi says of a GPU at work and of one that waits, and how long it takes to say it."""
    if DEVICE == "cpu":
        return
    from attnbench.machine.devices import device_of

    a = torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16)
    for label, products, wait_s in (
        ("idle", 0, 0.3),
        ("busy", 1500, 0.3),
        ("just after", 0, 0.0),
        ("a second after", 0, 1.0),
    ):
        for _ in range(products):
            a @ a
        time.sleep(wait_s)
        started = time.perf_counter()
        seen = str(device_of(DEVICE).state())
        say(
            {
                "what": "nvidia-smi",
                "name": label,
                "seen": seen,
                "took_s": round(time.perf_counter() - started, 3),
            }
        )
        torch.cuda.synchronize()


def energy(say: Say) -> None:
    """How often the driver's energy counter moves, at rest and at work, and what it comes to."""
    if DEVICE == "cpu":
        return
    import pynvml

    pynvml.nvmlInit()
    gpu = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
    a = torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16)
    out = torch.empty_like(a)
    for label, products in (("idle", 0), ("busy", 2000)):
        torch.cuda.synchronize()
        time.sleep(0.5)
        for _ in range(products):
            torch.mm(a, a, out=out)
        moves, started = [], time.perf_counter()
        last = first = pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)
        reads = 0
        while (now := time.perf_counter()) - started < 1.5:
            joules = pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)
            reads += 1
            if joules != last:
                moves.append((now - started, joules - last))
                last = joules
        gaps = [later[0] - sooner[0] for sooner, later in pairwise(moves)]
        say(
            {
                "what": "energy",
                "name": label,
                "mj": last - first,
                "moves": len(moves),
                "reads": reads,
                "gap_ms": 1e3 * median(gaps) if gaps else None,
                "step_mj": median(step for _, step in moves) if moves else None,
                "power_mw": pynvml.nvmlDeviceGetPowerUsage(gpu),
                "violations_ns": [
                    pynvml.nvmlDeviceGetViolationStatus(gpu, kind).violationTime for kind in range(4)
                ],
            }
        )
        torch.cuda.synchronize()


def main(path: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:

        def say(row: Row) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()

        with torch.inference_mode():
            for part in (energy, biases, convolutions, samplers, witness):
                try:
                    part(say)
                except Exception as error:
                    say({"what": part.__name__, "failed": f"{type(error).__name__}: {error}"[:300]})


if __name__ == "__main__":
    main(*sys.argv[1:])
