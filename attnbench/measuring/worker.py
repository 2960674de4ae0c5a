"""One process: reads the job at the head of a shard, does what is left of it, appends facts.

    python -m attnbench.measuring.worker [SHARD]

A job either counts cases, or finds how many images fit, or measures a block; never two of these, because
counting can slow what runs after it. Of a block, one worker examines the members, before the first session
or after it, and each other one times a session. The parent sets the thread variables before the process
starts, and holds the other end of standard input: when that closes, the parent is gone and so is the worker.
One that is started ahead has no shard yet, and is told of it there.
"""

import json
import os
import sys
import threading
from math import inf
from pathlib import Path

import torch

from attnbench.cases.registry import Registry, discover
from attnbench.machine.devices import device_of
from attnbench.machine.fingerprint import inspect_machine
from attnbench.measuring import timing
from attnbench.measuring.journal_writer import DiskFailed, JournalWriter, ProcessSpent
from attnbench.measuring.precision import set_precision
from attnbench.measuring.session import time_session
from attnbench.records import journal
from attnbench.records.block_state import BlockState
from attnbench.records.journal import DISK_FAILED, PROCESS_SPENT, UNWRITABLE, Environment
from attnbench.records.record import emulation_of

SLOW = 1.5  # times as long as in float32, from which a format is emulated and not merely no faster

MIDDLING = 768  # side of a matmul that a CPU makes in no time


def work(shard: Path, writer: JournalWriter, registry: Registry | None = None) -> None:
    """Do what is left of the shard's job and write the facts; the mechanisms are those of the registry.

    Without one they are all that the job can find.
    """
    state = BlockState(journal.read(shard))
    registry = registry or discover([Path(plugin) for plugin in state.job.plugins])
    flags = set_up_torch(state.job.threads)  # after plugins, which may set some of it when they are imported
    if state.job.task == "count":
        on_host = {case.device: device_of(case.device).on_host for case in state.job.cases}
        for name in sorted(on_host):
            flags |= emulated(name)
        rates = {name: matmul_rate(name, state.job.threads) for name in sorted(on_host) if not on_host[name]}
        writer.write(Environment(inspect_machine(), flags, matmul_rate("cpu", state.job.threads), rates))
        from attnbench.measuring.counting import count_cases  # fvcore does not belong in a process that times

        count_cases(state, registry, writer)
    elif state.job.task == "price":
        from attnbench.measuring.counting import price_cases

        price_cases(state, registry, writer)
    elif state.job.task == "fit":
        from attnbench.measuring.fitting import fit_cases  # as counting does not either

        fit_cases(state, registry, writer)
    elif state.examines_next:
        from attnbench.measuring.preflight import preflight  # its profiler has none there either

        preflight(state, registry, writer)
    else:
        time_session(state, registry, writer)


def set_up_torch(threads: int) -> dict[str, str]:
    """Fix what decides a number, and return it: float32 means float32, on a GPU too."""
    torch.set_num_threads(threads)
    set_precision(tf32=False)
    return {
        "threads": str(torch.get_num_threads()),
        "cuda.matmul.allow_tf32": str(torch.backends.cuda.matmul.allow_tf32),
        "cudnn.allow_tf32": str(torch.backends.cudnn.allow_tf32),
        "cudnn.benchmark": str(torch.backends.cudnn.benchmark),
        "mkldnn.enabled": str(torch.backends.mkldnn.enabled),
    }


def emulated(name: str) -> dict[str, str]:
    """The 16-bit formats whose products are slow on a device, and how many times as long as float32's.

    Without products of its own for them, it makes them of 32-bit ones, which costs more than it saves.
    """
    formats = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    rounds = [{word: _matmul_s(name, dtype) for word, dtype in formats.items()} for _ in range(5)]
    best_s = {word: min(times[word] for times in rounds) for word in formats}
    slower = {word: seconds / best_s["float32"] for word, seconds in best_s.items()}
    return {emulation_of(name, word): f"{times:.2g}" for word, times in slower.items() if SLOW < times < inf}


def _matmul_s(name: str, dtype: torch.dtype) -> float:
    """Seconds of a small product; endless where the device has none in the format."""
    device = device_of(name)
    n = 256 if device.on_host else MIDDLING
    clock, _ = device.clocks()
    try:
        a = torch.ones(n, n, device=name, dtype=dtype)
        return timing.sample(lambda: a @ a, 1 if device.on_host else 3, clock)
    except (RuntimeError, TypeError):
        return inf


def matmul_rate(name: str, threads: int) -> float:
    """Multiply-adds a second of a middling matmul on a device: for the plan's estimate only."""
    device = device_of(name)
    n = MIDDLING if device.on_host else device.matmul_side(threads) // 2
    a = torch.randn(n, n, device=name)
    _, clock = device.clocks()
    return float(n**3 / min(timing.sample(lambda: a @ a, 3, clock) for _ in range(3)))


def told() -> Path:
    """The shard of a worker that was started ahead, once the parent says it; with variables to set."""
    line = sys.stdin.readline()
    if not line:
        os._exit(1)  # the parent is gone
    order = json.loads(line)
    os.environ |= order["environment"]
    return Path(order["shard"])


def _leave_with_parent() -> None:
    """End this process, whatever it is doing, when the other end of standard input closes."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    path = Path(sys.argv[1]) if sys.argv[1:] else told()
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        work(
            path, JournalWriter(path.open("a", encoding="utf-8"))
        )  # never closed: that would write once more
    except DiskFailed as failure:
        print(f"{UNWRITABLE}{failure}", flush=True)
        os._exit(DISK_FAILED)
    except ProcessSpent:
        os._exit(PROCESS_SPENT)
    os._exit(0)  # all is written; to take torch apart would take most of a second
