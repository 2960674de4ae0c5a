"""One process: takes a job on standard input, appends facts to a shard file.

    python -m attnbench.measure.worker SHARD < job.json

A job either counts cases or times one session of a block; never both, because counting can slow what runs
after it. The parent sets the thread variables before the process starts.
"""

import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor, nn

from attnbench.attention import use_kernel
from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.machine import inspect_machine
from attnbench.measure import timing
from attnbench.measure.clock import WallClock, clocks
from attnbench.measure.facts import Counted, Environment, Failed, Timed, Warmed, write
from attnbench.measure.job import Job
from attnbench.measure.timing import Member, calls_per_sample, rounds, warm_up
from attnbench.record import Sample
from attnbench.registry import Registry, discover
from attnbench.sweep import Case

INPUTS_BYTES = 64 * 2**20  # inputs rotate over buffers of this size together, so that none stays in a cache
MOST_INPUTS = 8


def work(job: Job, shard: TextIO) -> None:
    """Do the job and write its facts."""
    flags = set_up_torch(job.threads)
    registry = discover([Path(plugin) for plugin in job.plugins])
    if job.task == "count":
        write(shard, Environment(inspect_machine(), flags, _matmul_rate()))
        count_cases(job, registry, shard)
    else:
        time_cases(job, registry, shard)


def set_up_torch(threads: int) -> dict[str, str]:
    """Fix what decides a number, and return it: float32 means float32, on a GPU too."""
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return {
        "threads": str(torch.get_num_threads()),
        "cuda.matmul.allow_tf32": str(torch.backends.cuda.matmul.allow_tf32),
        "cudnn.allow_tf32": str(torch.backends.cudnn.allow_tf32),
        "cudnn.benchmark": str(torch.backends.cudnn.benchmark),
        "mkldnn.enabled": str(torch.backends.mkldnn.enabled),
    }


def count_cases(job: Job, registry: Registry, shard: TextIO) -> None:
    """Write what each case costs, or why it cannot be built."""
    from attnbench.measure.cost import count

    for index, case in enumerate(job.cases):
        with failure_as_fact(index, shard), use_kernel(case.kernel):
            cost = count(build(registry, case, job.protocol.seed), case.geometry)
            closed_form = registry[case.mechanism].macs(case.geometry, **case.settings)
            write(shard, Counted(index, macs_closed_form=closed_form, **asdict(cost)))


def time_cases(job: Job, registry: Registry, shard: TextIO) -> None:
    """Warm every member of the block, then time them in rounds."""
    deadline = time.perf_counter() + job.protocol.max_seconds
    clock, witness = clocks(job.cases[0].device)
    inputs = make_inputs(job.cases[0], job.protocol.seed)
    ready: dict[int, Member] = {}
    with torch.inference_mode():
        for index, case in enumerate(job.cases):
            with failure_as_fact(index, shard):
                call = make_call(build(registry, case, job.protocol.seed), case, inputs)
                check_output(call(), case)
                warmup = warm_up(call, witness, job.protocol)
                ready[index] = Member(call, calls_per_sample(warmup.per_call_s, job.protocol))
                write(shard, Warmed(index, calls_per_sample=ready[index].calls, **asdict(warmup)))
        indices = list(ready)
        for turn in rounds(list(ready.values()), clock, witness, job.protocol, deadline):
            sample = Sample(job.session, turn.round, turn.position, turn.seconds, turn.wall_s)
            write(shard, Timed(indices[turn.member], sample))


def build(registry: Registry, case: Case, seed: int) -> nn.Module:
    """The case's layer on the CPU in float32, with weights that depend on the seed alone."""
    torch.manual_seed(seed)
    return registry[case.mechanism].build(case.geometry, **case.settings).eval()


def make_inputs(case: Case, seed: int) -> list[Tensor]:
    """Random batches `[B, N, C]` in the case's dtype on its device, enough of them to leave the caches."""
    shape = (case.batch, case.geometry.tokens, case.geometry.dim)
    dtype: torch.dtype = getattr(torch, case.dtype)
    number = min(MOST_INPUTS, math.ceil(INPUTS_BYTES / (math.prod(shape) * dtype.itemsize)))
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(case.device, dtype) for _ in range(number)]


def make_call(layer: nn.Module, case: Case, inputs: Sequence[Tensor]) -> Callable[[], Tensor]:
    """One call of the case: its layer with its kernel, on the next of the inputs."""
    layer = layer.to(case.device, getattr(torch, case.dtype))
    feed = itertools.cycle(inputs)

    def call() -> Tensor:
        with use_kernel(case.kernel):
            return layer(next(feed))  # type: ignore[no-any-return]

    return call


class WrongOutput(Exception):  # noqa: N818
    """A layer's output is not a batch of tokens."""


def check_output(output: Tensor, case: Case) -> None:
    """Raise unless the output has the input's shape and only finite numbers: a wrong result has no speed."""
    expected = (case.batch, case.geometry.tokens, case.geometry.dim)
    if tuple(output.shape) != expected:
        raise WrongOutput(f"the output has shape {tuple(output.shape)} instead of {expected}")
    if not output.isfinite().all():
        raise WrongOutput("the output holds NaN or infinite numbers")


@contextmanager
def failure_as_fact(index: int, shard: TextIO) -> Iterator[None]:
    """Whatever goes wrong with one member becomes a fact, and the others go on."""
    try:
        yield
    except UnsupportedGeometry as refusal:
        write(shard, Failed(index, "unsupported", str(refusal)))
    except AttnbenchError as mistake:
        write(shard, Failed(index, "mistake", str(mistake)))
    except WrongOutput as wrong:
        write(shard, Failed(index, "wrong", str(wrong)))
    except Exception as error:
        write(shard, Failed(index, "crashed", f"{type(error).__name__}: {error}"))


def _matmul_rate() -> float:
    """Multiply-adds a second of a middling matmul: for the plan's estimate only."""
    n = 768
    a = torch.randn(n, n)
    clock = WallClock(lambda: None)
    return float(n**3 / min(timing.sample(lambda: a @ a, 3, clock) for _ in range(3)))


if __name__ == "__main__":
    with Path(sys.argv[1]).open("a", encoding="utf-8") as shard_file:
        work(Job.from_json(sys.stdin.read()), shard_file)
