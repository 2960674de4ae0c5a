"""What the facts of a shard say together: what is known of each case, and what is left to do. No torch."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import TypeVar

from attnbench.cases.case import Role
from attnbench.cases.variant import PLAIN
from attnbench.machine.witness import Witness
from attnbench.records.journal import (
    Allocated,
    Attended,
    Checked,
    Counted,
    Ended,
    Environment,
    Expected,
    Fact,
    Failed,
    Fitted,
    Job,
    Powered,
    Predicted,
    Priced,
    PutRight,
    Referenced,
    Returned,
    Timed,
    Uncounted,
    Warmed,
)
from attnbench.records.record import Energy, Memory, Sample, Warmup
from attnbench.records.rounds import ByRound, by_round
from attnbench.statistics import settling_rounds

Known = Predicted | Referenced | Counted | Uncounted | Failed
Kind = TypeVar("Kind")
Value = TypeVar("Value")


@dataclass(frozen=True)
class BlockState:
    """The facts of one shard in order; the first is its job."""

    facts: Sequence[Fact]

    @cached_property
    def job(self) -> Job:
        (job,) = self._all(Job)
        return job

    @cached_property
    def environment(self) -> Environment:
        return self._all(Environment)[-1]

    @cached_property
    def predicted(self) -> Mapping[int, Predicted]:
        """What a call of each case will need at once, where that was asked."""
        return {fact.case: fact for fact in self._all(Predicted)}

    @cached_property
    def priced(self) -> Mapping[int, Priced]:
        """What each case needs and costs on any machine, where that was asked."""
        return {fact.case: fact for fact in self._all(Priced)}

    @cached_property
    def fitted(self) -> Mapping[int, Fitted]:
        """How many images a call of each case may have, where that was asked."""
        return {fact.case: fact for fact in self._all(Fitted)}

    @cached_property
    def referenced(self) -> Mapping[int, Referenced]:
        """With what each case is compared in float64, where that is not a few of its own images."""
        return {fact.case: fact for fact in self._all(Referenced)}

    @cached_property
    def counted(self) -> dict[int, Counted]:
        """What each case costs, where it could be counted."""
        return {fact.case: fact for fact in self._all(Counted)}

    @cached_property
    def not_counted(self) -> dict[int, Uncounted]:
        """Why a case could not be counted."""
        return {fact.case: fact for fact in self._all(Uncounted)}

    @cached_property
    def failed(self) -> Mapping[int, Failed]:
        """Why a case cannot be measured."""
        return {fact.case: fact for fact in self._all(Failed)}

    @cached_property
    def known(self) -> Mapping[int, tuple[Known, ...]]:
        """All that was found out about each case without measuring it."""
        facts = (fact for fact in self.facts if isinstance(fact, Known))
        return _grouped((fact.case, fact) for fact in facts)

    @cached_property
    def memories(self) -> Mapping[int, Memory | None]:
        """What a call of each case takes, where that was asked; None where its device keeps no peak."""
        return {fact.case: fact.memory for fact in self._all(Allocated)}

    @cached_property
    def checked(self) -> Mapping[int, Checked]:
        """How far each case is from float64, where that was asked."""
        return {fact.case: fact for fact in self._all(Checked)}

    @cached_property
    def backends(self) -> Mapping[int, tuple[str, ...]]:
        """Which forms of fused attention ran in each case, where that was asked."""
        return {fact.case: fact.backends for fact in self._all(Attended)}

    @cached_property
    def expected(self) -> Mapping[int, Expected]:
        """What new layers give for new tokens, where that was asked."""
        return {fact.case: fact for fact in self._all(Expected)}

    @cached_property
    def returned(self) -> Mapping[int, tuple[Returned, ...]]:
        """What timed layers gave for new tokens while nothing was expected yet, session by session."""
        return _grouped((fact.case, fact) for fact in self._all(Returned))

    @cached_property
    def put_right(self) -> Mapping[int, tuple[str, ...]]:
        """What of its process the layer of each case changed, each once."""
        changes = ((fact.case, change) for fact in self._all(PutRight) for change in fact.changes)
        return {case: tuple(dict.fromkeys(each)) for case, each in _grouped(changes).items()}

    @cached_property
    def warmups(self) -> Mapping[int, tuple[Warmup, ...]]:
        """How each case was warmed up, session by session."""
        return _grouped((fact.case, fact.warmup) for fact in self._all(Warmed))

    @cached_property
    def samples(self) -> Mapping[int, tuple[Sample, ...]]:
        """All samples of each case in the order in which they were taken, those of settling rounds marked."""
        taken = _grouped((fact.case, fact.sample) for fact in self._all(Timed))
        settled = {session: settling_rounds(rounds) for session, rounds in self._rounds(taken).items()}
        if not any(settled.values()):
            return taken
        return {
            case: tuple(replace(each, settling=each.round < settled[each.session]) for each in samples)
            for case, samples in taken.items()
        }

    def _rounds(self, taken: Mapping[int, Sequence[Sample]]) -> dict[int, list[dict[int, float]]]:
        """For each session, the seconds of each of its rounds by case, of those that must be precise."""
        sessions: dict[int, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        for case in self.judged:
            for (session, number), seconds in by_round(taken.get(case, ())).items():
                sessions[session][number][case] = median(seconds)
        return {session: [rounds[key] for key in sorted(rounds)] for session, rounds in sessions.items()}

    @cached_property
    def energies(self) -> Mapping[int, tuple[Energy, ...]]:
        """What each case's calls took of the device's energy, session by session."""
        return _grouped((fact.case, fact.energy) for fact in self._all(Powered))

    @cached_property
    def witnesses(self) -> tuple[Witness, ...]:
        """What happened on the machine in each session that came to its end."""
        return tuple(fact.witness for fact in self._all(Ended))

    @property
    def alive(self) -> list[int]:
        """The cases that nothing has gone wrong with."""
        return [index for index in range(len(self.job.cases)) if index not in self.failed]

    @property
    def baseline(self) -> int | None:
        """The case that the others are compared with; None when it failed."""
        cases = self.job.cases
        label = next((case.label for case in cases if case.role is Role.twin), None)
        partners = (Role.member, Role.control)
        return next((i for i in self.alive if cases[i].label == label and cases[i].role in partners), None)

    @property
    def judged(self) -> list[int]:
        """The cases that must be precise: members and controls, or ceilings where these are all."""
        cases = self.job.cases
        return [i for i in self.alive if cases[i].role is not Role.ceiling] or self.alive

    @property
    def uncounted(self) -> list[int]:
        """The cases that are still to be counted."""
        return [index for index in self.alive if not {index} & (self.counted.keys() | self.not_counted)]

    @property
    def unpriced(self) -> list[int]:
        """The cases of which nobody knows what they need and cost on any machine."""
        return [index for index in self.alive if index not in self.priced]

    @property
    def unfitted(self) -> list[int]:
        """The cases of which nobody knows how many images fit."""
        return [index for index in self.alive if index not in self.fitted]

    @property
    def without_memory(self) -> list[int]:
        """The members whose memory is still to be measured."""
        cases = self.job.cases
        return [i for i in self.alive if cases[i].role is Role.member and i not in self.memories]

    @property
    def examines_next(self) -> bool:
        """Whether the next worker examines members, and does not time a session.

        Layers as they are come to their first session at once, for that is what is waited for; what it finds
        is judged by the examination after it. A layer that is run in another way is compared with float64
        before it is timed.
        """
        members = (case for case in self.job.cases if case.role is Role.member)
        begins = not self.witnesses and all(case.variant == PLAIN for case in members)
        return bool(self.without_memory) and not begins

    @property
    def unfinished(self) -> bool:
        """Whether a worker has something to do: an examination, or a session."""
        return bool(self.without_memory or self.sessions_left)

    @property
    def sessions_left(self) -> int:
        """How many sessions the block still needs; none when nothing is left that would be a row."""
        cases = self.job.cases
        members = {i for i, case in enumerate(cases) if case.role is Role.member} or set(range(len(cases)))
        return max(0, self.job.protocol.sessions - len(self.witnesses)) if members & set(self.alive) else 0

    @property
    def next_session(self) -> int:
        """A number that no process has timed under."""
        return 1 + max((fact.warmup.session for fact in self._all(Warmed)), default=-1)

    @property
    def spent_s(self) -> float:
        """The seconds that went into warm-up and rounds so far.

        Of a session that came to its end, those that it took, in which a device sleeps and is timed twice; of
        one that did not, those of its samples.
        """
        warm_s = sum(fact.warmup.seconds for fact in self._all(Warmed))
        whole = {witness.session: witness.wall_s for witness in self.witnesses}
        calls = {(fact.case, fact.warmup.session): fact.warmup.calls_per_sample for fact in self._all(Warmed)}
        return (
            warm_s
            + sum(whole.values())
            + sum(
                fact.sample.wall_s * calls[fact.case, fact.sample.session]
                for fact in self._all(Timed)
                if fact.sample.session not in whole
            )
        )

    @property
    def next_session_s(self) -> float:
        """The next session's share of the time that is left."""
        return max(0.0, self.job.protocol.max_seconds - self.spent_s) / max(1, self.sessions_left)

    @property
    def next_precision(self) -> float:
        """How precise the samples of all sessions up to the next one must be.

        The interval of a fraction of the sessions is wider than that of all by the root of that fraction.
        """
        done = len(self.witnesses) + 1
        return self.job.protocol.precision * math.sqrt(max(1.0, self.job.protocol.sessions / done))

    def seconds_of(self, case: int) -> ByRound:
        """Seconds of a case in each round, once it had settled."""
        return by_round(self.samples.get(case, ()))

    def _all(self, kind: type[Kind]) -> list[Kind]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def _grouped(pairs: Iterable[tuple[int, Value]]) -> Mapping[int, tuple[Value, ...]]:
    groups: dict[int, list[Value]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return {key: tuple(values) for key, values in groups.items()}
