"""What a record's facts mean beside those of its block: speeds, intervals, verdicts, shares of the limit."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import TypeVar

import numpy as np

from attnbench.cases.case import Role
from attnbench.cases.labels import did_you_mean, find, nearest
from attnbench.cases.sweep import BASELINE
from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.machine.devices import device_of
from attnbench.paper import DEVICES, Published, published
from attnbench.records.record import Record
from attnbench.statistics import (
    Comparison,
    Estimate,
    Scatter,
    Verdict,
    compare_pairs,
    median_with_interval,
    noise_floor,
    session_ratios,
    session_scatter,
    session_spread,
    verdicts,
)

LAUNCH_BOUND = 1.2  # host time over device time from which launching, not computing, sets the pace
IMPOSSIBLE = 1.1  # share of a limit beyond which no layer does its work in the time
MOST_CACHE_BYTES = 2**27  # what a cache may hold where nobody says what it does: as much as a GPU's largest
Round = tuple[int, int]
Member = tuple[str, Variant, Role]
Work = Callable[[Record], float]
"""What one call of a record comes to, in multiply-adds or bytes."""
AnyRow = TypeVar("AnyRow", bound="Row | Record")


@dataclass(frozen=True, slots=True)
class Limit:
    """The share of this machine's own limit that a layer reaches, and which limit that is."""

    fraction: Estimate
    by: str


@dataclass(frozen=True, slots=True)
class Timing:
    """What follows from a record's samples.

    `throughput` is in images per second. `speed` is the time of `baseline` over this one's, paired by round,
    so that 2 is twice as fast; it is None for the baseline itself and without one. `noise_floor` is how far
    from 1 the baseline's twin may lie; `session_spread` and `speed_spread` say how far apart the sessions'
    times and speeds are, and `scatter` what its block tells of that; `converged` says that level and ratio
    are as precise as was asked. What is `impossible` took less time than this machine needs for its work: no
    verdict rests on it.
    """

    time_s: Estimate
    throughput: Estimate
    baseline: str | None
    speed: Estimate | None
    verdict: Verdict | None
    noise_floor: float | None
    rounds: int
    sessions: int
    session_spread: float | None
    speed_spread: float | None
    scatter: Scatter | None
    converged: bool
    limit: Limit | None
    launch_bound: bool
    impossible: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One record with what follows from it; `timing` is None where nothing was measured.

    `published` is the mechanism's row of Table IV, if it has one and the setting is the paper's.
    """

    record: Record
    timing: Timing | None
    published: Published | None

    @property
    def device(self) -> str:
        return self.record.case.device

    @property
    def size(self) -> str:
        return self.record.case.workload.geometry.size

    @property
    def side(self) -> float:
        """Tokens a side; of a map that is not square, of the square with as many tokens."""
        return self.record.case.workload.side

    @property
    def setting(self) -> str:
        """What tells a row from others of its mechanism and variant: `cpu 14x14 batch 64 training`."""
        training = " training" if self.record.case.workload.mode == "training" else ""
        return f"{self.device} {self.size} batch {self.record.case.workload.batch}{training}"

    @property
    def where(self) -> str:
        """What tells a row from others of its mechanism: `cpu 14x14 batch 64 training, bfloat16, fused`."""
        variant = f", {name}" if (name := self.record.case.variant.name) else ""
        return f"{self.setting}{variant}"


@dataclass(frozen=True, slots=True)
class Measured(Row):
    """A row that has a timing."""

    timing: Timing


@dataclass(frozen=True)
class Block:
    """The records that were timed in turn, and what their members are judged by."""

    records: Sequence[Record]
    baseline_label: str | None

    @cached_property
    def twin(self) -> Record | None:
        return self._first(lambda record: record.case.role is Role.twin)

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
        others = [record for record in self.records if _is_timed_beside(record, self._reference)]
        ratios = {member(record): session_ratios(*_paired(self._reference, record)) for record in others}
        usual = max(ratios.values(), key=len, default={})
        whole = {key: list(found.values()) for key, found in ratios.items() if found.keys() == usual.keys()}
        if len(usual) < 2:
            return {}
        reference, scatters = session_scatter(np.array(list(whole.values())))
        return {member(self._reference): reference, **dict(zip(whole, scatters, strict=True))}

    @cached_property
    def _reference(self) -> Record | None:
        """The twin's original."""
        return self.original(self.twin.case.label, self.twin.case.variant) if self.twin else None

    def compared(self, record: Record, baseline: Record) -> Comparison | None:
        """How many times as fast as the baseline, over the rounds that have both; None if there are none."""
        return compared(record, baseline, both(*map(self.scatter_of, (record, baseline))))

    def scatter_of(self, record: Record) -> Scatter | None:
        """How far a record is from session to session, where the block tells it."""
        return self._scatters.get(member(record))

    def limit_of(self, record: Record) -> Limit | None:
        """The time that this machine's matmul rate or bandwidth asks for, over the record's own, by round."""
        bounds = {
            "compute": self._bound_s(record, "matmul", _multiply_adds),
            "memory": self._bound_s(record, "copy", _least_bytes),
        }
        shares = _shares(record, bounds.values())
        if not shares:
            return None
        heaviest = max(bounds, key=lambda name: median(bounds[name][key] for key in shares))
        return Limit(_over_rounds(shares), heaviest)

    def is_impossible(self, record: Record) -> bool:
        """Whether a record is faster than its multiply-adds, or the bytes that no cache holds, allow here.

        Multiply-adds that are a lower bound, or unknown, judge nobody.
        """
        return member(record) in self._impossible

    @cached_property
    def _impossible(self) -> frozenset[Member]:
        timed = (each for each in self.records if each.case.role is not Role.ceiling and _has_time(each))
        return frozenset(member(record) for record in timed if self._beats_a_limit(record))

    def _beats_a_limit(self, record: Record) -> bool:
        bounds = [self._bound_s(record, "copy", _uncached_bytes)]
        if not record.uncounted:
            bounds.append(self._bound_s(record, "matmul", _multiply_adds))
        return any(_is_above(IMPOSSIBLE, _shares(record, [bound])) for bound in bounds)

    def _bound_s(self, record: Record, ceiling: str, work: Work) -> dict[Round, float]:
        """Seconds that a record's work takes at the ceiling's rate, in each round that has it."""
        limit = self._first(
            lambda found: (
                (found.case.role, found.case.mechanism, found.case.variant.dtype)
                == (Role.ceiling, ceiling, record.case.variant.dtype)
            )
        )
        if limit is None:
            return {}
        share = work(record) / WORK_OF_CEILINGS[ceiling](limit)
        return {key: share * seconds for key, seconds in by_round(limit).items()}

    def original(self, label: str | None, variant: Variant) -> Record | None:
        """The record of this label and variant that is no twin, if it has a time."""
        partners = (Role.member, Role.control)
        return self._first(
            lambda record: (
                (record.case.label, record.case.variant) == (label, variant) and record.case.role in partners
            )
        )

    def _first(self, wanted: Callable[[Record], bool]) -> Record | None:
        return next((record for record in self.records if wanted(record) and _has_time(record)), None)


def rows(records: Sequence[Record], baseline: str | None = None, *, run: str = "this run") -> list[Row]:
    """A row for each case, in the records' order, compared with the baseline of its own block.

    All verdicts are corrected together; beside a time that is impossible they are unclear. A `baseline` that
    no record has is an `AttnbenchError`, which says so of the `run`.
    """
    baseline = _label_of(baseline, records, run)
    in_blocks = blocks(records, baseline)
    current = {identity(record): record for record in records if record.case.role is Role.member}
    pairs = [(record, in_blocks[record.block]) for record in current.values()]
    comparisons = [_comparison(record, block) for record, block in pairs]
    doubts = [_is_doubtful(record, block) for record, block in pairs]
    asked = [
        (comparison, block.noise_floor or 0.0)
        for (_, block), comparison, doubt in zip(pairs, comparisons, doubts, strict=True)
        if comparison and not doubt
    ]
    judged = iter(verdicts([comparison for comparison, _ in asked], [floor for _, floor in asked]))
    return [
        _row(record, block, comparison, (Verdict.unclear if doubt else next(judged)) if comparison else None)
        for (record, block), comparison, doubt in zip(pairs, comparisons, doubts, strict=True)
    ]


def blocks(records: Sequence[Record], baseline: str | None = None) -> dict[str, Block]:
    """The blocks of a run by their key; of a case that was written twice the later record counts."""
    label = _label_of(baseline, records)
    found: dict[str, dict[Member, Record]] = {}
    for record in records:
        found.setdefault(record.block, {})[member(record)] = record
    return {key: Block(list(members.values()), label) for key, members in found.items()}


def identity(record: Record) -> tuple[object, ...]:
    """What a row of a table stands for, whoever measured it and with how much effort."""
    return (record.case.label, record.case.workload, record.case.device, record.case.variant)


def setting(row: Row) -> tuple[object, ...]:
    """What the rows of one table share; it shows devices side by side."""
    record = row.record
    return (record.case.workload, record.case.variant)


def family(row: Row) -> tuple[object, ...]:
    """What rows share that differ in nothing but mechanism, size and mode."""
    record = row.record
    return (
        row.device,
        record.case.workload.geometry.dim,
        record.case.workload.geometry.heads,
        record.case.workload.batch,
        record.case.variant,
    )


def grouped(table: Iterable[AnyRow], key: Callable[[AnyRow], object]) -> list[list[AnyRow]]:
    """The rows of each key together, in the order in which they come."""
    found: dict[object, list[AnyRow]] = {}
    for row in table:
        found.setdefault(key(row), []).append(row)
    return list(found.values())


def measured(table: Iterable[Row]) -> list[Measured]:
    """The rows that have a time."""
    return [row for row in table if isinstance(row, Measured)]


def believed(table: Iterable[Row]) -> list[Measured]:
    """The rows that have a time in which a layer can do its work."""
    return [row for row in measured(table) if not row.timing.impossible]


def compared(record: Record, baseline: Record, scatter: Scatter | None = None) -> Comparison | None:
    """How many times as fast as the baseline, over the rounds that have both; None if there are none.

    `scatter` is that of their difference from session to session; without, their own sessions tell it.
    """
    theirs, ours, sessions = _paired(baseline, record)
    return compare_pairs(theirs, ours, sessions, scatter) if sessions else None


def both(one: Scatter | None, other: Scatter | None) -> Scatter | None:
    """The scatter of a difference, if that of either is known."""
    return one + other if one and other else None


def _paired(first: Record, second: Record) -> tuple[list[float], list[float], list[int]]:
    """Seconds of both in the rounds that both have, and the rounds' sessions."""
    ours, theirs = by_round(first), by_round(second)
    shared = sorted(ours.keys() & theirs.keys())
    return [ours[key] for key in shared], [theirs[key] for key in shared], [session for session, _ in shared]


def member(record: Record) -> Member:
    """What a record is in its block."""
    return record.case.label, record.case.variant, record.case.role


def by_round(record: Record) -> Mapping[Round, float]:
    """Seconds per call in each round of each session."""
    return {(sample.session, sample.round): sample.seconds for sample in record.settled_samples}


def published_ratio(row: Row) -> float | None:
    """The paper's throughput of this mechanism over the row's baseline's, on the same kind of device."""
    base = published().get(row.timing.baseline or BASELINE if row.timing else BASELINE)
    if row.published is None or base is None:
        return None
    return row.published.imgs_per_s(row.device) / base.imgs_per_s(row.device)


def is_slower(speed: Estimate | None, verdict: Verdict | None, share: float | None) -> bool:
    """Whether a verdict is slower, and the time longer by more than `share`; None asks nothing."""
    return bool(share and speed and verdict is Verdict.slower and 1 / speed.value - 1 > share)


def is_paper_setting(record: Record) -> bool:
    """Whether this is Table IV's: its shape in float32, on a kind of device that it has."""
    on_paper = record.case.device in DEVICES and record.case.variant.dtype == "float32"
    return on_paper and has_paper_shape(record)


def has_paper_shape(record: Record) -> bool:
    """Whether this is inference on 14×14 tokens, 768 channels in 12 heads, batch 64, in any variant."""
    return record.case.workload.is_paper


def _label_of(baseline: str | None, records: Sequence[Record], run: str = "this run") -> str | None:
    """The label of the baseline that a user asks for; one that the run has not is an `AttnbenchError`."""
    if baseline is None:
        return None
    members = {record.case.label: record.case for record in records if record.case.role is Role.member}
    label = find(baseline, members.values())
    if label is None:
        near = did_you_mean(nearest(baseline, members.values()))
        raise AttnbenchError(f"{baseline!r} is not in {run}; --baseline can be {', '.join(members)}.{near}")
    return label


def _comparison(record: Record, block: Block) -> Comparison | None:
    baseline = block.baseline_of(record.case.variant)
    if not _has_time(record) or baseline is None or baseline.case.label == record.case.label:
        return None
    return block.compared(record, baseline)


def _is_doubtful(record: Record, block: Block) -> bool:
    """Whether a record, or what it is compared with, has a time that is impossible."""
    baseline = block.baseline_of(record.case.variant)
    return block.is_impossible(record) or (baseline is not None and block.is_impossible(baseline))


def _is_timed_beside(record: Record, reference: Record) -> bool:
    return record is not reference and record.case.role is not Role.ceiling and _has_time(record)


def _row(record: Record, block: Block, comparison: Comparison | None, verdict: Verdict | None) -> Row:
    paper = published().get(record.case.label) if is_paper_setting(record) else None
    if not _has_time(record):
        return Row(record, None, paper)
    seconds = [sample.seconds for sample in record.settled_samples]
    sessions = [sample.session for sample in record.settled_samples]
    time_s = median_with_interval(seconds, sessions)
    baseline = block.baseline_of(record.case.variant)
    precision = record.conditions.protocol.precision
    timing = Timing(
        time_s=time_s,
        throughput=_per_second(record.case.workload.batch, time_s),
        baseline=baseline.case.label if baseline else None,
        speed=comparison.ratio if comparison else None,
        verdict=verdict,
        noise_floor=block.noise_floor,
        rounds=len(seconds),
        sessions=len(set(sessions)),
        session_spread=session_spread(seconds, sessions),
        speed_spread=_spread(comparison.by_session) if comparison else None,
        scatter=block.scatter_of(record),
        converged=time_s.within(precision) and (not comparison or comparison.ratio.within(precision)),
        limit=block.limit_of(record),
        launch_bound=median(sample.wall_s for sample in record.settled_samples) > LAUNCH_BOUND * time_s.value,
        impossible=block.is_impossible(record),
    )
    return Measured(record, timing, paper)


def _spread(by_session: Sequence[float]) -> float | None:
    """How far apart the ratios of sessions lie, relative to the smallest; None with fewer than two."""
    return max(by_session) / min(by_session) - 1 if len(by_session) > 1 else None


def _has_time(record: Record) -> bool:
    return record.outcome == "measured" and bool(record.samples)


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
    through = 2 * math.prod(case.workload.shape) * case.variant.bytes_each
    return max(0, (record.least_bytes or through) - (known or MOST_CACHE_BYTES))


def _shares(record: Record, bounds: Collection[Mapping[Round, float]]) -> dict[Round, float]:
    """The largest of the bounds over the record's own time, in each round that has them all."""
    times = by_round(record)
    shared = sorted(set(times).intersection(*bounds))
    return {key: max(bound[key] for bound in bounds) / times[key] for key in shared}


def _is_above(share: float, shares: Mapping[Round, float]) -> bool:
    """Whether the whole interval of the median is; that takes long, and the median alone can deny it."""
    return bool(shares) and median(shares.values()) > share and (_over_rounds(shares).low or 0.0) > share


def _over_rounds(values: Mapping[Round, float]) -> Estimate:
    return median_with_interval(list(values.values()), [session for session, _ in values])


def _per_second(batch: int, time_s: Estimate) -> Estimate:
    """Throughput by inversion: the slow end of the time is the low end of the throughput."""
    if time_s.low is None or time_s.high is None:
        return Estimate(batch / time_s.value)
    return Estimate(batch / time_s.value, batch / time_s.high, batch / time_s.low)
