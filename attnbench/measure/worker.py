"""One process: reads the job at the head of a shard, does what is left of it, appends facts.

    python -m attnbench.measure.worker SHARD

A job either counts cases or times a block; never both, because counting can slow what runs after it. A worker
that times does one session. The parent sets the thread variables before the process starts, and holds the
other end of standard input: when that closes, the parent is gone and so is the worker.
"""

import itertools
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor, nn

from attnbench.attention import use_kernel
from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.machine import inspect_machine
from attnbench.measure import facts, timing
from attnbench.measure.ceiling import ceiling
from attnbench.measure.clock import Clock, WallClock, clocks
from attnbench.measure.facts import (
    Began,
    Counted,
    Ended,
    Environment,
    Fact,
    Failed,
    Predicted,
    Started,
    Timed,
    Uncounted,
    Warmed,
)
from attnbench.measure.memory import predicted_peak_bytes
from attnbench.measure.process import DISK_FAILED
from attnbench.measure.story import Story
from attnbench.measure.timing import Member, calls_per_sample, rounds, warm_up
from attnbench.record import Sample, Warmup
from attnbench.registry import Registry, discover
from attnbench.statistics import precise_enough
from attnbench.sweep import Case, Role
from attnbench.system import available_memory_bytes
from attnbench.witness import Watch

INPUTS_BYTES = 64 * 2**20  # inputs rotate over buffers of this size together, so that none stays in a cache
MOST_INPUTS = 8
SYNC_S = 1.0  # how much of a session a power cut may cost


class DiskFailed(BaseException):
    """The shard could not be written."""


@contextmanager
def disk_failures() -> Iterator[None]:
    """Tell a shard that cannot be written from a layer that fails with the same exception."""
    try:
        yield
    except OSError as error:
        raise DiskFailed(str(error)) from error


class Pen:
    """Appends facts to a shard: each can be read at once, and survives a power cut a second later."""

    def __init__(self, shard: TextIO) -> None:
        self.shard = shard
        self.synced = time.monotonic()

    def write(self, fact: Fact) -> None:
        with disk_failures():
            facts.write(self.shard, fact)

    def sync(self) -> None:
        """See what is written onto the disk, but not more often than once in `SYNC_S`."""
        if time.monotonic() - self.synced > SYNC_S:
            with disk_failures():
                os.fsync(self.shard.fileno())
            self.synced = time.monotonic()


def work(shard: Path, pen: Pen) -> None:
    """Do what is left of the shard's job and write the facts."""
    story = Story(facts.read(shard))
    flags = set_up_torch(story.job.threads)
    registry = discover([Path(plugin) for plugin in story.job.plugins])
    if story.job.task == "count":
        pen.write(Environment(inspect_machine(), flags, _matmul_rate()))
        count_cases(story, registry, pen)
    else:
        time_session(story, registry, pen)


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


def count_cases(story: Story, registry: Registry, pen: Pen) -> None:
    """Write what each case needs and costs, or why it cannot be built."""
    pen.write(Began(0))
    for index in story.uncounted:
        case = story.job.cases[index]
        with failure_as_fact(index, pen), use_kernel(case.kernel):
            if case.role is Role.ceiling:
                limit = ceiling(case.mechanism, case.device, dtype_of(case), story.job.threads)
                pen.write(Counted(index, 0, limit.macs, limit.macs, {}, (), limit.least_bytes))
            elif not count_case(story, registry, pen, index):
                return


def count_case(story: Story, registry: Registry, pen: Pen, index: int) -> bool:
    """Predict the memory of one case, and count its cost if at least one image fits.

    A layer that was run on fake tensors for its prediction may have kept some of them, and fail for that. So
    a count that fails then is left to the next process, which finds the prediction made: False.
    """
    job, case, predicted = story.job, story.job.cases[index], index in story.predicted_bytes
    if predicted:
        need = story.predicted_bytes[index]
    else:
        pen.write(Started(index, "predicting its memory"))
        need = _predicted_bytes(registry, case, case.batch, job.protocol.seed)
        pen.write(Predicted(index, need))
    free = _free_bytes(case.device)
    if need is not None and need > free:
        one_image = _predicted_bytes(registry, case, 1, job.protocol.seed)
        shortage = f"it needs {_gib(need)} GiB by prediction, and {_gib(free)} GiB are free"
        pen.write(Failed(index, "out_of_memory", shortage))
        if one_image is None or one_image > free:
            return True
    pen.write(Started(index, "counting"))
    try:
        counted: Counted | Uncounted = _count(registry, index, case, job.protocol.seed)
    except AttnbenchError:
        raise
    except Exception as error:
        if not predicted:
            return False
        counted = Uncounted(index, f"{type(error).__name__}: {error}")
    pen.write(counted)
    return True


def time_session(story: Story, registry: Registry, pen: Pen) -> None:
    """Warm every case that is alive, then time them in rounds until the block is precise or time is over."""
    job, session, told = story.job, story.next_session, list(story.facts)
    protocol, device = job.protocol, job.cases[0].device
    deadline = time.perf_counter() + story.next_session_s
    clock, witness = clocks(device)
    pen.write(Began(session))

    def tell(fact: Fact) -> None:
        pen.write(fact)
        told.append(fact)

    with torch.inference_mode():
        ready = _warm(story, registry, witness, session, pen, tell)
        indices, checks = list(ready), _Checks(protocol.least_rounds)
        watch = Watch(session, device)
        for turn in rounds(
            list(ready.values()),
            clock,
            witness,
            announce=lambda member: pen.write(Started(indices[member], "a sample")),
            seed=f"{protocol.seed}/{session}",
            deadline=deadline,
        ):
            sample = Sample(session, turn.round, turn.position, turn.seconds, turn.wall_s)
            tell(Timed(indices[turn.member], sample))
            if turn.position == len(indices) - 1:
                pen.sync()
                if checks.due(turn.round + 1) and _precise(Story(told)):
                    break
    if ready:
        pen.write(Ended(watch.witness()))


def build(registry: Registry, case: Case, seed: int) -> nn.Module:
    """The case's layer on the CPU in float32, with weights that depend on the seed alone."""
    torch.manual_seed(seed)
    return registry[case.mechanism].build(case.geometry, **case.settings).eval()


def make_inputs(case: Case, seed: int) -> list[Tensor]:
    """Random batches `[B, N, C]` in the case's dtype on its device, enough of them to leave the caches."""
    shape, dtype = _shape(case, case.batch), dtype_of(case)
    number = min(MOST_INPUTS, math.ceil(INPUTS_BYTES / (math.prod(shape) * dtype.itemsize)))
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(case.device, dtype) for _ in range(number)]


def make_call(layer: nn.Module, case: Case, inputs: Sequence[Tensor]) -> Callable[[], Tensor]:
    """One call of the case: its layer with its kernel, on the next of the inputs."""
    layer = layer.to(case.device, dtype_of(case))
    feed = itertools.cycle(inputs)

    def call() -> Tensor:
        with use_kernel(case.kernel):
            return layer(next(feed))  # type: ignore[no-any-return]

    return call


def dtype_of(case: Case) -> torch.dtype:
    """The case's number format as torch's."""
    dtype: torch.dtype = getattr(torch, case.dtype)
    return dtype


class WrongOutput(Exception):  # noqa: N818
    """A layer's output is not a batch of tokens."""


def check_output(output: Tensor, case: Case) -> None:
    """Raise unless the output has the input's shape and only finite numbers: a wrong result has no speed."""
    expected = _shape(case, case.batch)
    if tuple(output.shape) != expected:
        raise WrongOutput(f"the output has shape {tuple(output.shape)} instead of {expected}")
    if not output.isfinite().all():
        raise WrongOutput("the output holds NaN or infinite numbers")


@contextmanager
def failure_as_fact(index: int, pen: Pen) -> Iterator[None]:
    """Whatever goes wrong with one case becomes a fact, and the others go on."""
    try:
        yield
    except UnsupportedGeometry as refusal:
        pen.write(Failed(index, "unsupported", str(refusal)))
    except AttnbenchError as mistake:
        pen.write(Failed(index, "mistake", str(mistake)))
    except WrongOutput as wrong:
        pen.write(Failed(index, "wrong", str(wrong)))
    except (MemoryError, torch.OutOfMemoryError) as shortage:
        pen.write(Failed(index, "out_of_memory", str(shortage).partition("\n")[0]))
    except Exception as error:
        outcome = "out_of_memory" if "can't allocate memory" in str(error) else "crashed"
        pen.write(Failed(index, outcome, f"{type(error).__name__}: {error}"))


def _count(registry: Registry, index: int, case: Case, seed: int) -> Counted:
    from attnbench.measure.cost import count

    layer = build(registry, case, seed)
    cost = count(layer, case.geometry)
    closed_form = registry[case.mechanism].macs(case.geometry, **case.settings)
    numbers = sum(tensor.numel() for tensor in layer.state_dict().values())
    least_bytes = (numbers + 2 * math.prod(_shape(case, case.batch))) * dtype_of(case).itemsize
    return Counted(index, macs_closed_form=closed_form, least_bytes=least_bytes, **asdict(cost))


def _predicted_bytes(registry: Registry, case: Case, batch: int, seed: int) -> int | None:
    return predicted_peak_bytes(lambda: build(registry, case, seed), _shape(case, batch), dtype_of(case))


def _gib(number: float) -> str:
    return f"{number / 2**30:,.1f}"


def _free_bytes(device: str) -> int:
    """What a case may allocate on `device`."""
    return torch.cuda.mem_get_info()[0] if device == "cuda" else available_memory_bytes()


def _warm(
    story: Story,
    registry: Registry,
    clock: Clock,
    session: int,
    pen: Pen,
    tell: Callable[[Fact], None],
) -> dict[int, Member]:
    """Build, check and warm up all cases that are alive; what fails is told, and left out."""
    job, ready = story.job, dict[int, Member]()
    protocol = job.protocol.within(story.next_session_s / 2 / len(story.alive))
    inputs = make_inputs(job.cases[0], job.protocol.seed)
    for index in story.alive:
        case = job.cases[index]
        with failure_as_fact(index, pen):
            pen.write(Started(index, "building it"))
            if case.role is Role.ceiling:
                call = ceiling(case.mechanism, case.device, dtype_of(case), job.threads).call
            else:
                call = make_call(build(registry, case, job.protocol.seed), case, inputs)
                pen.write(Started(index, "its first call"))
                check_output(call(), case)
            pen.write(Started(index, "warming up"))
            pace = warm_up(call, clock, protocol)
            ready[index] = Member(call, calls_per_sample(pace.per_call_s, protocol))
            warmup = Warmup(session, pace.calls, pace.seconds, pace.stable, ready[index].calls)
            tell(Warmed(index, pace.per_call_s, warmup))
    return ready


@dataclass(slots=True)
class _Checks:
    """When to look whether the block is precise: often at first, then as the rounds grow by a quarter."""

    next: int

    def due(self, rounds_done: int) -> bool:
        if rounds_done < self.next:
            return False
        self.next = max(rounds_done + 5, math.ceil(1.25 * rounds_done))
        return True


def _precise(story: Story) -> bool:
    times, sessions = story.whole_rounds(story.judged)
    baseline = None if story.baseline is None else story.judged.index(story.baseline)
    return precise_enough(times, sessions, baseline, story.next_precision)


def _shape(case: Case, batch: int) -> tuple[int, int, int]:
    return batch, case.geometry.tokens, case.geometry.dim


def _matmul_rate() -> float:
    """Multiply-adds a second of a middling matmul: for the plan's estimate only."""
    n = 768
    a = torch.randn(n, n)
    clock = WallClock(lambda: None)
    return float(n**3 / min(timing.sample(lambda: a @ a, 3, clock) for _ in range(3)))


def _leave_with_parent() -> None:
    """End this process, whatever it is doing, when the other end of standard input closes."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    path = Path(sys.argv[1])
    try:
        work(path, Pen(path.open("a", encoding="utf-8")))  # never closed: that would write once more
    except DiskFailed as failure:
        print(failure, flush=True)
        os._exit(DISK_FAILED)
