"""A worker that is no process of its own: for layers that live in this one, such as those of a notebook."""

import warnings
from collections.abc import Generator, Mapping
from pathlib import Path

import torch

from attnbench.cases.registry import Registry
from attnbench.errors import AttnbenchError
from attnbench.measuring.journal_writer import DiskFailed, JournalWriter, ProcessSpent
from attnbench.measuring.surroundings import Surroundings
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
        state = torch.get_rng_state()
        surroundings = Surroundings()
        try:
            with warnings.catch_warnings(), shard.open("a", encoding="utf-8") as file:
                work(shard, JournalWriter(file), registry)
        except ProcessSpent:
            pass  # what is left is done in the next call
        except DiskFailed as failure:
            raise AttnbenchError(f"{shard.parent} cannot be written: {failure}. Make room.") from failure
        finally:
            surroundings.put_right()
            torch.set_rng_state(state)
        yield from journal.read(shard)[known:]

    return facts
