"""What a record's facts mean beside those of its block: speeds, intervals, verdicts, shares of the limit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Self, TypeVar

from attnbench.analysis.block import Block, Limit, blocks, has_time, label_of_baseline, seconds_of
from attnbench.analysis.titles import told_apart
from attnbench.cases.case import Mode, Role, Workload
from attnbench.cases.labels import label_among
from attnbench.cases.protocol import LEVEL_WIDTH
from attnbench.cases.sweep import BASELINE
from attnbench.cases.variant import PLAIN
from attnbench.paper import DEVICES, Printed, published
from attnbench.paper.models import published_model
from attnbench.records.record import Record
from attnbench.records.rounds import all_rounds
from attnbench.statistics import (
    Comparison,
    Estimate,
    Scatter,
    Verdict,
    median_with_interval,
    session_spread,
    verdicts,
)
from attnbench.words import plural

LAUNCH_BOUND = 1.2  # host time over device time from which launching, not computing, sets the pace
AnyRow = TypeVar("AnyRow", bound="Row | Record")


@dataclass(frozen=True, slots=True)
class Timing:
    """What follows from a record's samples.

    `throughput` is in images per second. `speed` is the time of `baseline` over this one's, paired by round,
    so that 2 is twice as fast; it is None for the baseline itself and without one. `noise_floor` is how far
    from 1 the baseline's twin may lie; `session_spread` and `speed_spread` say how far apart the sessions'
    times and speeds are, and `scatter` what its block tells of that; `converged` says that the ratio, or
    of the baseline the level, is as precise as was asked. What is `impossible` took less time than this
    machine needs for its work: no verdict rests on it. `beside` is the baseline's own record in its block.
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
    beside: Record | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One record with what follows from it; `timing` is None where nothing was measured.

    `published` is the row of the paper's tables, if they have one and the setting is theirs. `threads` are
    those that torch might use, where the run has rows with others; elsewhere they go without saying.
    """

    record: Record
    timing: Timing | None
    published: Printed | None
    threads: int | None = None

    @property
    def device(self) -> str:
        return self.record.case.device

    @property
    def outcome(self) -> str:
        """What became of the case: `measured`, why it was not, or `interrupted` before its first sample."""
        found = self.record.outcome
        return "interrupted" if found == "measured" and self.timing is None else found

    @property
    def has_own_kernel(self) -> bool:
        """Whether torch's fused attention ran in a layer that was told to compute its own explicitly."""
        return self.record.case.variant.kernel == PLAIN.kernel and bool(self.record.backends)

    @property
    def size(self) -> str:
        return self.record.case.workload.geometry.size

    @property
    def side(self) -> float:
        """Tokens or pixels a side; of a map that is not square, of the square with as many."""
        return self.record.case.workload.side

    @property
    def setting(self) -> str:
        """What tells a row from others of its mechanism and variant: `cpu 14x14 batch 64 training`."""
        threads = f", {plural(self.threads, 'thread')}" if self.threads else ""
        return f"{self.device} {self.record.case.workload.words}{threads}"

    @property
    def where(self) -> str:
        """What tells a row from others of its mechanism: `cpu 14x14 batch 64 training, bfloat16, fused`."""
        variant = f", {name}" if (name := self.record.case.variant.name) else ""
        return f"{self.setting}{variant}"

    def titled(self, title: str) -> Self:
        """The same row under another title."""
        return replace(self, record=replace(self.record, case=replace(self.record.case, title=title)))


@dataclass(frozen=True, slots=True)
class Measured(Row):
    """A row that has a timing."""

    timing: Timing


def rows(
    records: Sequence[Record], baseline: str | None = None, *, run: str = "this run", only: Sequence[str] = ()
) -> list[Row]:
    """A row for each case, in the records' order, compared with the baseline of its own block.

    Where labels or titles are named, for their cases `only`. All verdicts are corrected together, of other
    rows too; beside a time that is impossible they are unclear. A `baseline`, or a label, that no record has
    is an `AttnbenchError`, which says so of the `run`.
    """
    records, baseline = told_apart(records), label_of_baseline(baseline, records, run)
    in_blocks = blocks(records, baseline)
    current = list(latest(records).values())
    labels = {label_among([record.case for record in current], text) for text in only}
    pairs = [(record, in_blocks[record.block]) for record in current]
    wanted = [pair for pair in pairs if not labels or pair[0].case.label in labels]
    others = [pair for pair in pairs if labels and pair[0].case.label not in labels]
    comparisons = [_comparison(*pair) for pair in wanted]
    doubts = [_is_doubtful(*pair) for pair in wanted]
    asked = [
        (comparison, block.noise_floor or 0.0)
        for (_, block), comparison, doubt in zip(wanted, comparisons, doubts, strict=True)
        if comparison and not doubt
    ]
    beside = [p_value for pair in others if (p_value := _p_value(*pair)) is not None]
    judged = iter(verdicts([comparison for comparison, _ in asked], [floor for _, floor in asked], beside))
    found = [
        _row(record, block, comparison, (Verdict.unclear if doubt else next(judged)) if comparison else None)
        for (record, block), comparison, doubt in zip(wanted, comparisons, doubts, strict=True)
    ]
    several = len({record.conditions.threads for record in current}) > 1
    return [replace(row, threads=row.record.conditions.threads) for row in found] if several else found


def latest(records: Iterable[Record]) -> dict[tuple[object, ...], Record]:
    """The last record of each member on each kind of machine."""
    members = (record for record in records if record.case.role is Role.member)
    return {(identity(record), record.machine_kind): record for record in members}


def identity(record: Record) -> tuple[object, ...]:
    """What a row of a table stands for, whoever measured it and with how much effort."""
    return (*case_of(record), record.conditions.threads)


def case_of(record: Record) -> tuple[object, ...]:
    """The same without the number of threads, in which two runs may differ."""
    return (record.case.label, record.case.workload, record.case.device, record.case.variant)


def setting(row: Row) -> tuple[object, ...]:
    """What the rows of one table share; it shows devices of one kind of machine side by side."""
    return (setting_anywhere(row), row.record.machine_kind)


def setting_anywhere(row: Row) -> tuple[object, ...]:
    """The same of a table of several runs, whatever machines measured them."""
    return (row.record.case.workload, row.record.case.variant, row.threads)


def place(row: Row) -> tuple[str, str]:
    """The device that measured it, of which kind of machine."""
    return (row.device, row.record.machine_kind)


def family(row: Row) -> tuple[object, ...]:
    """What rows share that differ in nothing but mechanism, size and mode."""
    record = row.record
    return (
        row.device,
        record.case.workload.geometry.images,
        record.case.workload.geometry.dim,
        record.case.workload.geometry.heads,
        record.case.workload.batch,
        record.case.variant,
        record.machine_kind,
        row.threads,
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


def published_ratio(row: Row) -> float | None:
    """The paper's throughput of this mechanism over the row's baseline's, on the same kind of device."""
    label = row.timing.baseline or BASELINE if row.timing else BASELINE
    base = printed_of(label, row.record.case.workload)
    ours = row.published.imgs_per_s(row.device) if row.published else None
    theirs = base.imgs_per_s(row.device) if base else None
    return ours / theirs if ours and theirs else None


def printed_of(label: str, workload: Workload) -> Printed | None:
    """What the paper printed of a layer, or of a model on images of this size."""
    if workload.geometry.images:
        return published_model(label, workload.geometry)
    return published().get(label)


def is_slower(speed: Estimate | None, verdict: Verdict | None, share: float | None) -> bool:
    """Whether a verdict is slower, and the time longer by more than `share`; None asks nothing."""
    return bool(share and speed and verdict is Verdict.slower and 1 / speed.value - 1 > share)


def is_paper_setting(record: Record) -> bool:
    """Whether this is Table IV's: its shape in float32, on a kind of device that it has.

    What the paper printed of models has no CPU, and stands beside any batch of a forward pass.
    """
    workload, on_device = record.case.workload, record.case.device in DEVICES
    of_model = workload.geometry.images and workload.mode == Mode.inference
    return on_device and record.case.variant.dtype == "float32" and (workload.is_paper or of_model)


def has_paper_shape(record: Record) -> bool:
    """Whether this is inference on 14×14 tokens, 768 channels in 12 heads, batch 64, in any variant."""
    return record.case.workload.is_paper


def _comparison(record: Record, block: Block) -> Comparison | None:
    baseline = _beside(record, block)
    return block.compared(record, baseline) if baseline else None


def _p_value(record: Record, block: Block) -> float | None:
    """That of a comparison that may be judged, without its intervals, which take longer."""
    baseline = _beside(record, block)
    is_judged = baseline is not None and not _is_doubtful(record, block)
    return block.p_value(record, baseline) if is_judged and baseline else None


def _beside(record: Record, block: Block) -> Record | None:
    """What a record is compared with; None for the baseline itself, and where there is no time."""
    baseline = block.baseline_of(record.case.variant)
    if not has_time(record) or baseline is None or baseline.case.label == record.case.label:
        return None
    return baseline


def _is_doubtful(record: Record, block: Block) -> bool:
    """Whether a record, or what it is compared with, has a time that is impossible."""
    baseline = block.baseline_of(record.case.variant)
    return block.is_impossible(record) or (baseline is not None and block.is_impossible(baseline))


def _row(record: Record, block: Block, comparison: Comparison | None, verdict: Verdict | None) -> Row:
    paper = printed_of(record.case.label, record.case.workload) if is_paper_setting(record) else None
    if not has_time(record):
        return Row(record, None, paper)
    seconds, sessions = all_rounds(seconds_of(record))
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
        converged=comparison.ratio.within(precision)
        if comparison
        else time_s.within(LEVEL_WIDTH * precision),
        limit=block.limit_of(record),
        launch_bound=median(_settled_wall_s(record)) > LAUNCH_BOUND * time_s.value,
        impossible=block.is_impossible(record),
        beside=baseline,
    )
    return Measured(record, timing, paper)


def _settled_wall_s(record: Record) -> list[float]:
    """The host's time of the samples that count."""
    both = zip(record.sampled("wall_s"), record.sampled("settling"), strict=True)
    return [wall_s for wall_s, is_settling in both if not is_settling]


def _spread(by_session: Sequence[float]) -> float | None:
    """How far apart the ratios of sessions lie, relative to the smallest; None with fewer than two."""
    return max(by_session) / min(by_session) - 1 if len(by_session) > 1 else None


def _per_second(batch: int, time_s: Estimate) -> Estimate:
    """Throughput by inversion: the slow end of the time is the low end of the throughput."""
    if time_s.low is None or time_s.high is None:
        return Estimate(batch / time_s.value)
    return Estimate(batch / time_s.value, batch / time_s.high, batch / time_s.low)
