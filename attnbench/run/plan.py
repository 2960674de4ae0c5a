"""What is to be measured: blocks, what is known of their cases before, and how long they will take."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from attnbench.cases.case import Block, Case, samples_in_round
from attnbench.cases.protocol import WARMUP_SHARE, WORKER_START_S, Protocol
from attnbench.cases.variant import Variant
from attnbench.machine.node import Allocation
from attnbench.records.block_state import Known
from attnbench.records.journal import Counted, Environment, Failed, Job, Predicted, Task, Uncounted, Worker
from attnbench.run.process import Spare

SLOWER_THAN_MATMUL = 3.0  # layers reach about a third of a matmul's rate; for the estimate only
TYPICAL_SPREAD = 0.05  # of the samples of one layer; for the estimate only
COMPILATION_S = 8.0  # of one layer, and in later processes from what it left; for the estimate only
COMPILED_BEFORE_S = 2.0
MEMORY_CALLS = 4  # of each layer, while its memory is measured; for the estimate only


@dataclass(frozen=True, slots=True)
class Setup:
    """What all workers of a run share; a `memory_limit_bytes` of None is whatever is free.

    `worker` runs one of them, on a shard, with an environment and a time-out, and yields the facts that it
    writes; without one each is a process of its own. `node` and `allocation` say where they run, as records
    have it. A `spare` process may have been started ahead for the first of them that times.
    """

    plugins: tuple[str, ...]
    protocol: Protocol
    memory_limit_bytes: int | None = None
    worker: Worker | None = None
    node: str = ""
    allocation: Allocation | None = None
    spare: Spare | None = None


def job_of(task: Task, block: Block, setup: Setup) -> Job:
    """What the workers of a block are told, now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Job(
        task,
        block.cases,
        setup.plugins,
        block.threads,
        setup.protocol,
        now,
        setup.memory_limit_bytes,
        block.batch_note,
        setup.node,
        setup.allocation,
    )


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
        return [macs for case in self._timed if (macs := self._macs(case)) is not None]

    @property
    def macs_of_round(self) -> list[int]:
        """Those of each sample of a round."""
        samples = zip(map(self._macs, self._timed), samples_in_round(self._timed), strict=True)
        return [macs for macs, count in samples if macs is not None for _ in range(count)]

    @property
    def _timed(self) -> list[Case]:
        unfit = {case.row for case, _ in self.unfit}
        return [case for case in self.block.cases if case.row not in unfit]

    def _macs(self, case: Case) -> int | None:
        """The multiply-adds of a call, as counted or as the closed form says."""
        for fact in self.found[case.row]:
            if isinstance(fact, Counted):
                return _of_call(case, fact.cost.macs)
            if isinstance(fact, Uncounted) and fact.macs_closed_form is not None:
                return _of_call(case, fact.macs_closed_form)
        return None

    def facts(self) -> Iterator[Known]:
        """What is known, case by case of the block."""
        for index, case in enumerate(self.block.cases):
            yield from (replace(fact, case=index) for fact in self.found[case.row])


def _of_call(case: Case, macs: int | None) -> int:
    """The multiply-adds of a call, by those of one image's forward pass."""
    return case.workload.batch * case.workload.mode.passes * (macs or 0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """About how long a block will take, and for how many rounds."""

    seconds: float
    rounds: int


def forecasts(plan: Sequence[Planned], protocol: Protocol) -> list[Forecast]:
    """What to expect of each block, from its counts and the machine's matmul rate."""
    return [_forecast(planned, protocol) for planned in plan]


def _forecast(planned: Planned, protocol: Protocol) -> Forecast:
    if len(planned.unfit) == len(planned.block.members):
        return Forecast(0.0, 0)
    rate = planned.environment.rate(planned.block.cases[0].device)
    calls_s, round_calls_s = (
        [SLOWER_THAN_MATMUL * n / rate for n in macs] for macs in (planned.macs, planned.macs_of_round)
    )
    share_s = WARMUP_SHARE * protocol.max_seconds / protocol.sessions / len(planned.block.cases)
    warm = protocol.within(share_s)
    warmup_s = sum(min(max(4 * call_s, warm.least_warmup_s), warm.most_warmup_s) for call_s in calls_s)
    round_s = sum(max(call_s, protocol.min_sample_s) for call_s in round_calls_s)
    bought = int((protocol.max_seconds - protocol.sessions * warmup_s) / round_s) if round_s else 0
    wanted = max(protocol.sessions * protocol.least_rounds, _rounds_for(protocol.precision))
    rounds = min(wanted, max(bought, protocol.sessions))
    compiled = sum(case.variant.compiled for case in planned.block.cases)
    first_s = WORKER_START_S + MEMORY_CALLS * sum(calls_s) + compiled * COMPILATION_S
    start_s = WORKER_START_S + compiled * COMPILED_BEFORE_S
    timing_s = protocol.sessions * warmup_s + rounds * round_s
    start_s += protocol.energy_s * (len(planned.macs) + 1)  # of each layer, and of the device at rest
    return Forecast(first_s + protocol.sessions * start_s + timing_s, rounds)


def _rounds_for(precision: float) -> int:
    """How many rounds make a median so precise, if samples spread as they mostly do."""
    return math.ceil((1.96 * 1.25 * TYPICAL_SPREAD / precision) ** 2)
