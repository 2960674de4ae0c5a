"""What a record's facts mean beside those of its block: throughput, speed against the baseline, intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from attnbench.paper import Claim, Published, published
from attnbench.record import Record
from attnbench.statistics import Estimate, median_with_interval, paired_ratio

BASELINE = "msa"
LAUNCH_BOUND = 1.2  # host time over device time from which launching, not computing, sets the pace


@dataclass(frozen=True, slots=True)
class Timing:
    """What follows from a record's samples.

    `throughput` is in images per second; `speed` is the baseline's time over this one's, paired by round, so
    that 2 is twice as fast, and None without a baseline in the block.
    """

    time_s: Estimate
    throughput: Estimate
    speed: Estimate | None
    rounds: int
    sessions: int
    launch_bound: bool


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
        return self.record.device

    @property
    def size(self) -> str:
        return f"{self.record.height}x{self.record.width}"


@dataclass(frozen=True, slots=True)
class Measured(Row):
    """A row that has a timing."""

    timing: Timing


def rows(records: Sequence[Record]) -> list[Row]:
    """A row for each record, in the records' order, compared with the baseline of its own block."""
    baselines = {
        _block(record): record for record in records if record.label == BASELINE and _has_time(record)
    }
    return [_row(record, baselines.get(_block(record))) for record in records]


def measured(table: Iterable[Row]) -> list[Measured]:
    """The rows that have a time."""
    return [row for row in table if isinstance(row, Measured)]


def published_ratio(row: Row) -> float | None:
    """The paper's throughput of this mechanism over its baseline's, on the same kind of device."""
    if row.published is None:
        return None
    return row.published.imgs_per_s(row.device) / published()[BASELINE].imgs_per_s(row.device)


def speed_of(faster: str, slower: str, device: str, table: Iterable[Row]) -> Estimate | None:
    """How many times as fast one mechanism is as another in rows of one setting; None = not measured."""
    found = {row.record.label: row.record for row in measured(table) if row.device == device}
    return _speed(found[faster], found[slower]) if faster in found and slower in found else None


def verdict(claim: Claim, ours: Estimate | None) -> str:
    """Whether the claimed ratio is reached: by the whole interval, by part of it, or by none of it."""
    if ours is None:
        return "not measured in this run"
    low, high = ours.low or ours.value, ours.high or ours.value
    if low >= claim.ratio:
        return "holds"
    if high >= claim.ratio:
        return "unclear"
    return "faster, but by less" if low > 1 else "does not hold"


def is_paper_setting(record: Record) -> bool:
    """Whether this is Table IV's own setting: 14×14 tokens, 768 channels in 12 heads, batch 64, float32."""
    setting = (record.height, record.width, record.dim, record.heads, record.batch, record.dtype)
    return setting == (14, 14, 768, 12, 64, "float32")


def _row(record: Record, baseline: Record | None) -> Row:
    paper = published().get(record.label) if is_paper_setting(record) else None
    if not _has_time(record):
        return Row(record, None, paper)
    sessions = [sample.session for sample in record.samples]
    time_s = median_with_interval([sample.seconds for sample in record.samples], sessions)
    wall_s = median(sample.wall_s for sample in record.samples)
    timing = Timing(
        time_s=time_s,
        throughput=_per_second(record.batch, time_s),
        speed=_speed(record, baseline) if baseline else None,
        rounds=len(sessions),
        sessions=len(set(sessions)),
        launch_bound=wall_s > LAUNCH_BOUND * time_s.value,
    )
    return Measured(record, timing, paper)


def _has_time(record: Record) -> bool:
    return record.outcome == "measured" and bool(record.samples)


def _per_second(batch: int, time_s: Estimate) -> Estimate:
    """Throughput by inversion: the slow end of the time is the low end of the throughput."""
    if time_s.low is None or time_s.high is None:
        return Estimate(batch / time_s.value)
    return Estimate(batch / time_s.value, batch / time_s.high, batch / time_s.low)


def _speed(record: Record, baseline: Record) -> Estimate | None:
    """How many times as fast as the baseline, over the rounds that have both."""
    ours, theirs = _by_round(record), _by_round(baseline)
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        return None
    sessions = [session for session, _ in shared]
    return paired_ratio([theirs[key] for key in shared], [ours[key] for key in shared], sessions)


def _by_round(record: Record) -> Mapping[tuple[int, int], float]:
    return {(sample.session, sample.round): sample.seconds for sample in record.samples}


def _block(record: Record) -> tuple[object, ...]:
    """What the records of one block share."""
    setting = (record.dim, record.heads, record.height, record.width, record.batch, record.mode)
    return (record.device, *setting, record.started_at)
