"""Workers in the test's own process: all that a worker does, without the seconds in which one starts."""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from unittest import mock

from attnbench.measuring import worker
from attnbench.measuring.journal_writer import JournalWriter, ProcessSpent
from attnbench.records import journal
from attnbench.records.block_state import BlockState
from attnbench.records.journal import PROCESS_SPENT, Fact
from attnbench.run.process import WorkerEnded

SIDE = 64  # of the matmul by which a plan says how long it takes; a worker's own has a second's work
Around = Callable[[BlockState], AbstractContextManager[None]]


def facts_in_process(around: Around = lambda _: nullcontext()) -> Callable[..., Generator[Fact]]:
    """What `runner` calls for a worker's facts; it works inside of what `around` makes of its job so far."""

    def facts(
        shard: Path, environment: Mapping[str, str], timeout_s: float, spare: object = None
    ) -> Generator[Fact]:
        before = journal.read(shard)
        spent = None
        quick = mock.patch.object(worker, "MIDDLING", SIDE)
        with shard.open("a", encoding="utf-8") as file, around(BlockState(before)), quick:
            try:
                worker.work(shard, JournalWriter(file))
            except ProcessSpent as end:
                spent = end
        yield from journal.read(shard)[len(before) :]
        if spent:
            raise WorkerEnded("it is spent", None, "crashed", PROCESS_SPENT) from spent

    return facts
