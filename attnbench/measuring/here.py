"""A worker that is no process of its own: for layers that live in this one, such as those of a notebook."""

import os
import warnings
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from attnbench.cases.registry import Registry
from attnbench.errors import AttnbenchError
from attnbench.machine.devices import DEVICES
from attnbench.measuring.apart import apart
from attnbench.measuring.journal_writer import DiskFailed, JournalWriter, ProcessSpent
from attnbench.measuring.precision import exact_float32
from attnbench.measuring.surroundings import HOST, Surroundings
from attnbench.measuring.worker import work
from attnbench.records import journal
from attnbench.records.journal import Fact, Worker


def worker_here(registry: Registry) -> Worker:
    """A worker for these mechanisms in this process, which is left as it was but for what torch has loaded.

    Variables and time-outs of a worker have no meaning here: a layer that hangs or ends its process takes
    this one with it.
    """

    def facts(shard: Path, _environment: Mapping[str, str], _timeout_s: float) -> Generator[Fact]:
        known = len(journal.read(shard))
        with _left_as_it_was(), _as_in_a_new_process(), _as_at_first(), apart():
            try:
                with warnings.catch_warnings(), shard.open("a", encoding="utf-8") as file:
                    work(shard, JournalWriter(file), registry)
            except ProcessSpent:
                pass  # what is left is done in the next call
            except DiskFailed as failure:
                raise AttnbenchError(f"{shard.parent} cannot be written: {failure}. Make room.") from failure
        yield from journal.read(shard)[known:]

    return facts


@contextmanager
def _as_in_a_new_process() -> Iterator[None]:
    """What calls take from the code around them, or from what its user has set, is torch's own default.

    So a layer is measured alike inside of `torch.no_grad`, `torch.autocast` and the like, as it is in a
    process of its own.
    """
    default = torch.get_default_dtype()
    with ExitStack() as around:
        around.enter_context(torch.inference_mode(False))  # gradients are asked for, too
        for device in DEVICES:
            if torch.is_autocast_enabled(device):
                around.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device() != HOST:
            around.enter_context(HOST)
        around.enter_context(exact_float32())
        around.callback(torch.set_default_dtype, default)
        torch.set_default_dtype(torch.float32)
        yield


@contextmanager
def _as_at_first() -> Iterator[None]:
    """What layers share is made what it was at the end."""
    surroundings = Surroundings()
    try:
        yield
    finally:
        surroundings.put_right()


@contextmanager
def _left_as_it_was() -> Iterator[None]:
    """Random numbers go on as if none had been drawn, and the environment has no new variable, at the end."""
    variables = frozenset(os.environ)
    with _numbers_kept():
        try:
            yield
        finally:
            for name in frozenset(os.environ) - variables:
                del os.environ[name]


@contextmanager
def _numbers_kept() -> Iterator[None]:
    """Torch's random numbers go on at the end where they were, also on a device that is not in use yet."""
    seed = torch.initial_seed()
    with ExitStack() as kept:
        for name, device in DEVICES.items():
            kept.enter_context(torch.random.fork_rng(device.in_use(), device_type=name))
        try:
            yield
        finally:
            torch.manual_seed(seed)  # of what nobody has used yet; the others go on from their own state
