"""Facts as a shard holds them, made by hand."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attnbench import Geometry
from attnbench.cases.case import Block, Case, Mode, Role, Workload
from attnbench.cases.protocol import Protocol
from attnbench.cases.sweep import ceilings
from attnbench.cases.variant import PLAIN, Variant
from attnbench.machine.witness import Witness
from attnbench.records import journal
from attnbench.records.block_state import BlockState, Known
from attnbench.records.journal import (
    Allocated,
    Began,
    Counted,
    Ended,
    Environment,
    Fact,
    Failed,
    Fitted,
    Job,
    Priced,
    Task,
    Timed,
    Warmed,
)
from attnbench.records.record import Cost, Sample, Warmup
from attnbench.run.plan import Planned
from tests.fakes import MACHINE, MEMORY, changed, witness

Row = tuple[str, Variant]
GEOMETRY = Geometry(8, 2, 2, 2)
PROTOCOL = Protocol(sessions=2, precision=0.02, max_seconds=100)
ENVIRONMENT = Environment(MACHINE, {"threads": "1"}, macs_per_s=1e9)


def case(label: str = "msa", role: Role = Role.member, **changes: Any) -> Case:
    """A case in a tiny setting."""
    plain = Case(
        role=role,
        mechanism=label.partition(":")[0],
        label=label,
        title=label.upper(),
        settings={},
        source=f"code of {label}",
        workload=Workload(GEOMETRY, 2, Mode.inference),
        device="cpu",
        variant=PLAIN,
    )
    found: Case = changed(plain, **changes)
    return found


MSA, HILO, TWIN = case("msa"), case("hilo"), case("msa", Role.twin, title="MSA again")
CASES = (MSA, HILO, TWIN, *ceilings(GEOMETRY, "cpu", "float32"))
"""A block of two members: indices 0 and 1, their twin 2, the ceilings 3 and 4."""


def job(
    cases: tuple[Case, ...] = CASES,
    protocol: Protocol = PROTOCOL,
    task: Task = "measure",
) -> Job:
    return Job(task, cases, (), 1, protocol, "2026-01-01T00:00:00+00:00")


def counted(index: int) -> Counted:
    return Counted(index, Cost(10, 1000, {"linear": 1000}, (), 64), 1000)


def priced(index: int) -> Priced:
    return Priced(index, 2**20, counted(index).cost, 1000)


def fitted(index: int, images: int = 8) -> Fitted:
    return Fitted(index, images, f"{2 * images} of it do not")


def allocated(index: int) -> Allocated:
    return Allocated(index, MEMORY)


def warmed(index: int, session: int = 0) -> Warmed:
    return Warmed(index, Warmup(session, calls=4, seconds=1.0, stable=True, calls_per_sample=2))


def timed(index: int, session: int = 0, number: int = 0, seconds: float = 0.1, position: int = 0) -> Timed:
    return Timed(index, Sample(session, number, position, seconds, seconds))


def session(number: int, indices: Sequence[int], rounds: int = 5) -> list[Fact]:
    """All that a worker writes in a session that comes to its end."""
    return [
        Began(number),
        *(warmed(index, number) for index in indices),
        *(
            timed(index, number, turn, position=place)
            for turn in range(rounds)
            for place, index in enumerate(indices)
        ),
        Ended(quiet(number, wall_s=0.2 * rounds * len(indices))),
    ]


def quiet(number: int, wall_s: float) -> Witness:
    """What a session of so many seconds sees on a machine that does nothing else."""
    return witness(number, wall_s=wall_s, cpu_s=wall_s, others_cpu_s=0.0, involuntary_switches=0)


def planned(cases: Sequence[Case] = CASES, *failed: Failed) -> Planned:
    """A block whose cases are counted, some of them failed."""
    counts: dict[Row, tuple[Known, ...]] = {one.row: (counted(0),) for one in cases}
    failures: dict[Row, tuple[Known, ...]] = {cases[fact.case].row: (counted(0), fact) for fact in failed}
    return Planned(Block(tuple(cases)), ENVIRONMENT, counts | failures)


class Workers:
    """Stand in for workers: each does the next thing of a list, and whole sessions when it is used up.

    `started` leaves out those that measured memory; `jobs` has what each of all was told, and `given`
    what was priced before.
    """

    def __init__(self) -> None:
        self.started = 0
        self.jobs: list[Job] = []
        self.given: list[Priced] = []
        self.next: list[Iterable[Fact | BaseException]] = []

    def __call__(self, shard: Path, threads: int, timeout_s: float, spare: object = None) -> Iterator[Fact]:
        state = BlockState(journal.read(shard))
        weighs = not self.next and state.job.task == "measure" and state.examines_next
        self.started += not weighs
        self.jobs.append(state.job)
        self.given += state.priced.values()
        for fact in self.next.pop(0) if self.next else self.whole(state):
            if isinstance(fact, BaseException):
                raise fact
            journal.save(shard, [fact])
            yield fact

    def counts(self, cases: int) -> list[Fact | BaseException]:
        """All that a worker writes that counts so many cases."""
        return [ENVIRONMENT, *map(counted, range(cases))]

    def whole(self, state: BlockState) -> list[Fact]:
        if state.job.task == "count":
            return [ENVIRONMENT, *map(counted, state.uncounted)]
        if state.job.task == "price":
            return [Began(0), *map(priced, state.unpriced)]
        if state.job.task == "fit":
            return [Began(0), *map(fitted, state.unfitted)]
        if state.examines_next:
            return [Began(0), *map(allocated, state.without_memory)]
        return session(state.next_session, state.alive)
