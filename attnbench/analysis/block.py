"""Blocks: the records that were timed in turn, and what they tell of each other."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import TypeVar

import numpy as np

from attnbench.cases.case import Case, Role
from attnbench.cases.labels import did_you_mean, find, nearest
from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.machine.devices import device_of
from attnbench.records.record import Record
from attnbench.records.rounds import ByRound, Round, by_round, paired
from attnbench.statistics import (
    Comparison,
    Estimate,
    Scatter,
    compare_pairs,
    median_with_interval,
    noise_floor,
    p_value_of_pairs,
    session_ratios,
    session_scatter,
)

IMPOSSIBLE = 1.1  # share of a limit beyond which no layer does its work in the time
MOST_CACHE_BYTES = 2**27  # what a cache may hold where nobody says what it does: as much as a GPU's largest
Key = TypeVar("Key")
Member = tuple[str, Variant, Role]
Work = Callable[[Record], float]


@dataclass(frozen=True, slots=True)
class Limit:
    """The share of this machine's own limit that a layer reaches, and which limit that is.

    `shares` has that of each round.
    """

    fraction: Estimate
    by: str
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Block:
    """The records that were timed in turn, and what their members are judged by."""

    records: Sequence[Record]
    baseline_label: str | None

    @cached_property
    def twin(self) -> Record | None:
        return next(self._timed(Role.twin), None)

    def baseline_of(self, variant: Variant) -> Record | None:
        """What others in a variant are compared with: the one that was asked for, or the twin's original."""
        label = self.baseline_label or (self.twin.case.label if self.twin else None)
        return self.original(label, variant)

    @cached_property
    def noise_floor(self) -> float | None:
        """How far from 1 the ratio of two identical layers may lie in this block."""
        comparison = self.compared(self.twin, self._reference) if self.twin and self._reference else None
        return noise_floor(comparison.ratio) if comparison else None

    @cached_property
    def _scatters(self) -> Mapping[Member, Scatter]:
        """How far each record is from session to session, as all of them together tell it.

        Of those that were timed in the same sessions as the twin's original; without two such sessions, none.
        """
        if self._reference is None:
            return {}
        reference = seconds_of(self._reference)
        others = [record for record in self.records if _is_timed_beside(record, self._reference)]
        ratios = {member(record): session_ratios(*paired(reference, seconds_of(record))) for record in others}
        usual = max(ratios.values(), key=len, default={})
        whole = {key: list(found.values()) for key, found in ratios.items() if found.keys() == usual.keys()}
        if len(usual) < 2:
            return {}
        common, scatters = session_scatter(np.array(list(whole.values())))
        return {member(self._reference): common, **dict(zip(whole, scatters, strict=True))}

    @cached_property
    def _reference(self) -> Record | None:
        """The twin's original."""
        return self.original(self.twin.case.label, self.twin.case.variant) if self.twin else None

    def compared(self, record: Record, baseline: Record) -> Comparison | None:
        """How many times as fast as the baseline, over the rounds that have both; None if there are none."""
        return compared(record, baseline, both(*map(self.scatter_of, (record, baseline))))

    def p_value(self, record: Record, baseline: Record) -> float | None:
        """That of the comparison alone; None if there is none."""
        theirs, ours, sessions = paired(seconds_of(baseline), seconds_of(record))
        scatter = both(*map(self.scatter_of, (record, baseline)))
        return p_value_of_pairs(theirs, ours, sessions, scatter) if sessions else None

    def scatter_of(self, record: Record) -> Scatter | None:
        """How far a record is from session to session, where the block tells it."""
        return self._scatters.get(member(record))

    def limit_of(self, record: Record) -> Limit | None:
        """The time that this machine's matmul rate or bandwidth asks for, over the record's own, by round.

        None where nobody knows the work, or it holds no product.
        """
        if not record.macs:
            return None
        bounds = {
            "compute": self._bound_s(record, "matmul", _multiply_adds),
            "memory": self._bound_s(record, "copy", _least_bytes),
        }
        shares = _shares(record, bounds.values())
        if not shares:
            return None
        heaviest = max(bounds, key=lambda name: median(bounds[name][key] for key in shares))
        return Limit(_over_rounds(shares), heaviest, tuple(shares.values()))

    def is_impossible(self, record: Record) -> bool:
        """Whether a record is faster than its multiply-adds, or the bytes that no cache holds, allow here.

        Multiply-adds that are a lower bound, or unknown, judge nobody.
        """
        return member(record) in self._impossible

    @cached_property
    def _impossible(self) -> frozenset[Member]:
        timed = self._timed(*(role for role in Role if role is not Role.ceiling))
        return frozenset(member(record) for record in timed if self._beats_a_limit(record))

    def _beats_a_limit(self, record: Record) -> bool:
        bounds = [self._bound_s(record, "copy", _uncached_bytes)]
        if not record.uncounted:
            bounds.append(self._bound_s(record, "matmul", _multiply_adds))
        return any(_is_above(IMPOSSIBLE, _shares(record, [bound])) for bound in bounds)

    def _bound_s(self, record: Record, ceiling: str, work: Work) -> dict[Round, float]:
        """Seconds that a record's work takes at the ceiling's rate, in each round that has it."""
        limit = self._ceilings.get((ceiling, record.case.variant.computed))
        if limit is None:
            return {}
        share = work(record) / WORK_OF_CEILINGS[ceiling](limit)
        return {key: share * median(seconds) for key, seconds in seconds_of(limit).items()}

    def original(self, label: str | None, variant: Variant) -> Record | None:
        """The record of this label and variant that is no twin, if it has a time."""
        return self._originals.get((label, variant))

    @cached_property
    def _originals(self) -> Mapping[tuple[str | None, Variant], Record]:
        """Members and controls by label and variant."""
        return _firsts(self._timed(Role.member, Role.control), lambda case: (case.label, case.variant))

    @cached_property
    def _ceilings(self) -> Mapping[tuple[str, str], Record]:
        """What this machine can do at best, by what is done and in which number format."""
        return _firsts(self._timed(Role.ceiling), lambda case: (case.mechanism, case.variant.dtype))

    def _timed(self, *roles: Role) -> Iterator[Record]:
        """The records of these roles that have a time."""
        return (record for record in self.records if record.case.role in roles and has_time(record))


def _firsts(records: Iterable[Record], key: Callable[[Case], Key]) -> dict[Key, Record]:
    """The first record of each key."""
    found: dict[Key, Record] = {}
    for record in records:
        found.setdefault(key(record.case), record)
    return found


def blocks(records: Sequence[Record], baseline: str | None = None) -> dict[str, Block]:
    """The blocks of a run by their key; of a case that was written twice the later record counts."""
    label = label_of_baseline(baseline, records)
    found: dict[str, dict[Member, Record]] = {}
    for record in records:
        found.setdefault(record.block, {})[member(record)] = record
    return {key: Block(list(members.values()), label) for key, members in found.items()}


def label_of_baseline(baseline: str | None, records: Sequence[Record], run: str = "this run") -> str | None:
    """The label of the baseline that a user asks for; one that the run has not is an `AttnbenchError`."""
    if baseline is None:
        return None
    members = {record.case.label: record.case for record in records if record.case.role is Role.member}
    label = find(baseline, members.values())
    if label is None:
        near = did_you_mean(nearest(baseline, members.values()))
        raise AttnbenchError(f"{baseline!r} is not in {run}; --baseline can be {', '.join(members)}.{near}")
    return label


def compared(record: Record, baseline: Record, scatter: Scatter | None = None) -> Comparison | None:
    """How many times as fast as the baseline, over the rounds that have both; None if there are none.

    `scatter` is that of their difference from session to session; without, their own sessions tell it.
    """
    theirs, ours, sessions = paired(seconds_of(baseline), seconds_of(record))
    return compare_pairs(theirs, ours, sessions, scatter) if sessions else None


def both(one: Scatter | None, other: Scatter | None) -> Scatter | None:
    """The scatter of a difference, if that of either is known."""
    return one + other if one and other else None


def member(record: Record) -> Member:
    """What a record is in its block."""
    return record.case.label, record.case.variant, record.case.role


def seconds_of(record: Record) -> ByRound:
    """Seconds per call in each round of each session."""
    return by_round(record.samples)


def has_time(record: Record) -> bool:
    return record.outcome == "measured" and bool(record.samples)


def _is_timed_beside(record: Record, reference: Record) -> bool:
    return record is not reference and record.case.role is not Role.ceiling and has_time(record)


def _multiply_adds(record: Record) -> float:
    """What one call of a record comes to; 0 where that is not known."""
    return record.case.workload.mode.passes * record.case.workload.batch * (record.macs or 0)


def _least_bytes(record: Record) -> float:
    """What one call must move at least; 0 where that is not known."""
    return record.least_bytes or 0


WORK_OF_CEILINGS: Mapping[str, Work] = {"matmul": _multiply_adds, "copy": _least_bytes}


def _uncached_bytes(record: Record) -> float:
    """What one call must move at least between memory and the last cache, whatever that holds.

    Where nothing could be counted, of input and output alone.
    """
    case, machine = record.case, record.conditions.machine
    known = machine.last_level_cache_bytes if device_of(case.device).on_host else None
    read = math.prod(case.workload.shape) * case.variant.bytes_each
    written = math.prod(case.workload.output_shape) * case.variant.bytes_each_out
    return max(0, (record.least_bytes or read + written) - (known or MOST_CACHE_BYTES))


def _shares(record: Record, bounds: Collection[Mapping[Round, float]]) -> dict[Round, float]:
    """The largest of the bounds over the record's own time, in each round that has them all."""
    if not all(bounds):
        return {}
    times = seconds_of(record)
    shared = sorted(set(times).intersection(*bounds))
    return {key: max(bound[key] for bound in bounds) / median(times[key]) for key in shared}


def _is_above(share: float, shares: Mapping[Round, float]) -> bool:
    """Whether the whole interval of the median is; that takes long, and the median alone can deny it."""
    return bool(shares) and median(shares.values()) > share and (_over_rounds(shares).low or 0.0) > share


def _over_rounds(values: Mapping[Round, float]) -> Estimate:
    return median_with_interval(list(values.values()), [session for session, _ in values])
