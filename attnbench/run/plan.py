"""What is to be measured: blocks, what is known of their cases before, and how long they will take."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from attnbench.cases.case import Block, Case
from attnbench.cases.protocol import Protocol
from attnbench.cases.variant import Variant
from attnbench.records.block_state import Known
from attnbench.records.journal import Counted, Environment, Failed, Predicted, Uncounted

WORKER_START_S = 5.0  # a worker imports torch and builds its layers; for the estimate only
SLOWER_THAN_MATMUL = 3.0  # layers reach about a third of a matmul's rate; for the estimate only
TYPICAL_SPREAD = 0.05  # of the samples of one layer; for the estimate only
COMPILATION_S = 8.0  # of one layer, and in later processes from what it left; for the estimate only
COMPILED_BEFORE_S = 2.0
MEMORY_CALLS = 4  # of each layer, while its memory is measured; for the estimate only


@dataclass(frozen=True, slots=True)
class Setup:
    """What all workers of a run share; a `memory_limit_bytes` of None is whatever is free."""

    plugins: tuple[str, ...]
    threads: int
    protocol: Protocol
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A block that is to be measured, with what is known of its cases before, by their `row`."""

    block: Block
    environment: Environment
    found: Mapping[tuple[str, Variant], tuple[Known, ...]]

    @property
    def unfit(self) -> list[tuple[Case, Failed]]:
        """The members that will not be timed, and why."""
        return [
            (case, fact)
            for case in self.block.members
            for fact in self.found[case.row]
            if isinstance(fact, Failed)
        ]

    @property
    def fitting(self) -> set[tuple[str, Variant]]:
        """The rows of the cases that were expected to need no more memory than there is."""
        return {
            row
            for row, facts in self.found.items()
            if all(fact.prediction.fits for fact in facts if isinstance(fact, Predicted))
        }

    @property
    def work(self) -> int:
        """The multiply-adds of one call of every member, of those too that will not be timed."""
        return sum(self._macs(case) or 0 for case in self.block.members)

    @property
    def macs(self) -> list[int]:
        """The multiply-adds of a call of each case that will be timed."""
        unfit = {case.row for case, _ in self.unfit}
        known = [self._macs(case) for case in self.block.cases if case.row not in unfit]
        return [macs for macs in known if macs is not None]

    def _macs(self, case: Case) -> int | None:
        """The multiply-adds of a call, as counted or as the closed form says."""
        for fact in self.found[case.row]:
            if isinstance(fact, Counted):
                return case.workload.batch * case.workload.mode.passes * fact.cost.macs
            if isinstance(fact, Uncounted) and fact.macs_closed_form is not None:
                return case.workload.batch * case.workload.mode.passes * fact.macs_closed_form
        return None

    def facts(self) -> Iterator[Known]:
        """What is known, case by case of the block."""
        for index, case in enumerate(self.block.cases):
            yield from (replace(fact, case=index) for fact in self.found[case.row])


def estimates_s(plan: Sequence[Planned], protocol: Protocol) -> list[float]:
    """About how long each block will take, from its counts and the machine's matmul rate."""
    return [_estimate_s(planned, protocol) for planned in plan]


def _estimate_s(planned: Planned, protocol: Protocol) -> float:
    if len(planned.unfit) == len(planned.block.members):
        return 0.0
    calls_s = [SLOWER_THAN_MATMUL * n / planned.environment.macs_per_s for n in planned.macs]
    warmup_s = sum(
        min(max(4 * call_s, protocol.least_warmup_s), protocol.most_warmup_s) for call_s in calls_s
    )
    rounds = max(protocol.sessions * protocol.least_rounds, _rounds_for(protocol.precision))
    compiled = sum(case.variant.compiled for case in planned.block.cases)
    first_s = WORKER_START_S + MEMORY_CALLS * sum(calls_s) + compiled * COMPILATION_S
    start_s = WORKER_START_S + compiled * COMPILED_BEFORE_S
    timing_s = protocol.sessions * warmup_s + rounds * sum(max(s, protocol.min_sample_s) for s in calls_s)
    return first_s + protocol.sessions * start_s + min(timing_s, protocol.max_seconds)


def _rounds_for(precision: float) -> int:
    """How many rounds make a median so precise, if samples spread as they mostly do."""
    return math.ceil((1.96 * 1.25 * TYPICAL_SPREAD / precision) ** 2)
