"""Who takes part in a round, and when a session is over: time goes where it is needed.

Every round holds the baseline and its twin, so that each ratio is one of rounds that both members have, and
the members that are not precise yet. Those that are come back now and then, because the machine may drift.
The baseline, which is in every ratio, has several samples in a round.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from attnbench.cases.case import Role, samples_in_round
from attnbench.cases.protocol import LEVEL_WIDTH
from attnbench.records.block_state import BlockState
from attnbench.records.rounds import all_rounds, paired
from attnbench.statistics import median_with_interval, paired_ratio

CEILING_EVERY = 4  # rounds; a share of the limit needs no more precision than that
PRECISE_EVERY = 8


@dataclass(slots=True)
class Attendance:
    """Who is in a round: all in the first `least_rounds`, and later those of `cases` that are `wanted`."""

    state: BlockState
    cases: Sequence[int]
    least_rounds: int
    wanted: Collection[int] = field(init=False)

    def __post_init__(self) -> None:
        self.wanted = self.cases

    def of(self, number: int) -> list[int]:
        """Positions in `cases` of those that take part in the round of this number, once for each sample."""
        present = [position for position, case in enumerate(self.cases) if self._takes_part(case, number)]
        samples = samples_in_round([self.state.job.cases[self.cases[each]] for each in present])
        return [each for each, count in zip(present, samples, strict=True) for _ in range(count)]

    def _takes_part(self, case: int, number: int) -> bool:
        cases = self.state.job.cases
        if cases[case].role is Role.ceiling and any(cases[i].role is not Role.ceiling for i in self.cases):
            return number % CEILING_EVERY == 0
        if case in self.wanted or number < self.least_rounds or number % PRECISE_EVERY == 0:
            return True
        return case == self.state.baseline or cases[case].role is Role.twin


@dataclass(slots=True)
class Checks:
    """When to look who is precise: often at first, then as the rounds grow by a quarter."""

    next: int

    def due(self, rounds_done: int) -> bool:
        if rounds_done < self.next:
            return False
        self.next = max(rounds_done + 5, math.ceil(1.25 * rounds_done))
        return True


def imprecise(state: BlockState) -> list[int]:
    """The cases whose ratio to the baseline is not known well enough; where all are, those of such a level.

    Levels may be wider, because the machine's drift is in them and not in ratios. Significance is not asked
    for: to stop at it would find too much of it.
    """
    precision, baseline = state.next_precision, state.baseline
    seconds = {case: state.seconds_of(case) for case in state.judged}
    levels = [
        case
        for case in state.judged
        if not median_with_interval(*all_rounds(seconds[case])).within(LEVEL_WIDTH * precision)
    ]
    if baseline is None:
        return levels
    others = [case for case in state.judged if case != baseline]
    ratios = [
        case
        for case in others
        if not paired_ratio(*paired(seconds[baseline], seconds[case])).within(precision)
    ]
    return ratios or levels
