"""Two runs side by side, case by case: counts always, times only where they can be compared."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from attnbench.analysis.block import Block, blocks, seconds_of
from attnbench.analysis.rows import Measured, Row, case_of, identity, rows
from attnbench.cases.protocol import KEPT, SYSTEM
from attnbench.machine.allocator import KEEP_FREED_MEMORY, without_allocator_variables
from attnbench.machine.fingerprint import Machine, differences
from attnbench.records.record import EMULATED, Record
from attnbench.records.record_file import RecordFile
from attnbench.records.rounds import Values, ratios
from attnbench.statistics import Comparison, Estimate, Verdict, compare_apart, verdicts
from attnbench.words import NOTHING, readable

Each = TypeVar("Each")
Difference = tuple[str, object, object]
"""A field, its value before, and its value after."""


@dataclass(frozen=True, slots=True)
class Change:
    """One case in two runs.

    `speed` is how many times as fast the later one is, None where times are not compared. Where both runs
    have a baseline with the same code, it is measured against that, so that a machine that was slower
    meanwhile does not count. That baseline itself is a `control`: its speed shows how much the machine
    changed, and has no verdict. `noise_floor` joins those of both runs.
    """

    before: Row
    after: Row
    speed: Estimate | None = None
    verdict: Verdict | None = None
    control: bool = False
    noise_floor: float | None = None


@dataclass(frozen=True, slots=True)
class _Speedup:
    """How a case changed, before the verdicts of all are known.

    One is `doubtful` for a time that is impossible, its own or that of what it is compared with.
    """

    comparison: Comparison
    noise_floor: float
    control: bool
    doubtful: bool


def unlike(before: RecordFile, after: RecordFile) -> list[Difference]:
    """What two runs differ in so that their times say nothing."""
    of = _pairing(before, after)
    earlier = _by_case(before.records, lambda record: record, of)
    by_name: dict[str, Difference] = {}
    for record in after.records:
        if theirs := earlier(record):
            for name, old, new in _differences(theirs, record):
                by_name.setdefault(name, (name, old, new))
    return list(by_name.values())


def changes(before: RecordFile, after: RecordFile, baseline: str | None, *, times: bool) -> list[Change]:
    """The cases that both runs have; with `times` how their speed changed, verdicts corrected together."""
    earlier, later = (rows(run.records, baseline, run=f"the run in {run.folder}") for run in (before, after))
    theirs = _by_case(earlier, lambda row: row.record, _pairing(before, after))
    pairs = [(old, row) for row in later if (old := theirs(row.record))]
    if not times:
        return [Change(old, new) for old, new in pairs]
    old_blocks, new_blocks = (blocks(run.records, baseline) for run in (before, after))
    speedups = [
        _speedup(old, new, old_blocks[old.record.block], new_blocks[new.record.block]) for old, new in pairs
    ]
    open_ones = [change for change in speedups if change and not change.control and not change.doubtful]
    judged = iter(
        verdicts([change.comparison for change in open_ones], [change.noise_floor for change in open_ones])
    )
    return [
        Change(
            old,
            new,
            change.comparison.ratio,
            None if change.control else Verdict.unclear if change.doubtful else next(judged),
            change.control,
            change.noise_floor,
        )
        if change
        else Change(old, new)
        for (old, new), change in zip(pairs, speedups, strict=True)
    ]


def _pairing(before: RecordFile, after: RecordFile) -> Callable[[Record], object]:
    """What a case of one run shares with that of the other; its threads too, where a run has several."""
    counts = ({record.conditions.threads for record in run.records} for run in (before, after))
    return identity if any(len(count) > 1 for count in counts) else case_of


def in_words(different: Iterable[Difference]) -> str:
    """What runs differ in, as a sentence has it: `cpu: Abacus → Slide rule; allocator: kept → system`."""
    return "; ".join(
        f"{readable(name.removesuffix('_bytes'))}: {_value(name, old)} → {_value(name, new)}"
        for name, old, new in different
    )


def _by_case(
    those: Iterable[Each], record_of: Callable[[Each], Record], of: Callable[[Record], object]
) -> Callable[[Record], Each | None]:
    """What finds the one of a record's case: that from a machine of its kind, or else the last."""
    anywhere: dict[object, Each] = {}
    alike: dict[object, Each] = {}
    for each in those:
        record = record_of(each)
        anywhere[of(record)] = alike[of(record), record.machine_kind] = each

    def found(record: Record) -> Each | None:
        case = of(record)
        return alike.get((case, record.machine_kind)) or anywhere.get(case)

    return found


def _value(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{variable}={text}" for variable, text in value.items()) or NOTHING
    if isinstance(value, int) and name.endswith("_bytes"):
        return f"{value / 2**20:,.0f} MiB"
    return NOTHING if value is None else str(value)


def _differences(before: Record, after: Record) -> list[Difference]:
    """By field; whether freed memory is kept, which two variables decide, is told apart from the others."""
    old, new = _settings(before), _settings(after)
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    settings: list[Difference] = [(name, old.get(name), new.get(name)) for name in names]
    return (
        differences(
            _without_allocator_variables(before), _without_allocator_variables(after), before.case.device
        )
        + settings
    )


def _settings(record: Record) -> dict[str, str]:
    """What decides its time beside the machine; how slowly that emulates a format does not."""
    allocator = KEPT if _keeps_freed_memory(record) else SYSTEM
    flags = {name: value for name, value in record.conditions.flags.items() if not name.startswith(EMULATED)}
    return {**flags, "allocator": allocator, "threads": str(record.conditions.threads)}


def _without_allocator_variables(record: Record) -> Machine:
    environment = record.conditions.machine.environment
    return replace(
        record.conditions.machine,
        environment=without_allocator_variables(environment) if _keeps_freed_memory(record) else environment,
    )


def _keeps_freed_memory(record: Record) -> bool:
    return record.conditions.machine.environment.items() >= KEEP_FREED_MEMORY.items()


def _speedup(before: Row, after: Row, old_block: Block, new_block: Block) -> _Speedup | None:
    if not (isinstance(before, Measured) and isinstance(after, Measured)):
        return None
    variant = before.record.case.variant
    old_base, new_base = old_block.baseline_of(variant), new_block.baseline_of(variant)
    floor = math.hypot(old_block.noise_floor or 0.0, new_block.noise_floor or 0.0)
    doubtful = before.timing.impossible or after.timing.impossible
    if (
        not old_base
        or not new_base
        or (old_base.case.label, old_base.case.source) != (new_base.case.label, new_base.case.source)
    ):
        alone = compare_apart(_speeds(after.record), _speeds(before.record))
        return _Speedup(alone, floor, control=False, doubtful=doubtful)
    if before.record.case.label == old_base.case.label:
        alone = compare_apart(_speeds(after.record), _speeds(before.record))
        return _Speedup(alone, floor, control=True, doubtful=doubtful)
    relative = compare_apart(_speeds(after.record, new_base), _speeds(before.record, old_base))
    doubtful |= old_block.is_impossible(old_base) or new_block.is_impossible(new_base)
    return _Speedup(relative, floor, control=False, doubtful=doubtful)


def _speeds(record: Record, baseline: Record | None = None) -> Values:
    """Calls per second, or per call of the baseline, in each round that has it; and the rounds' sessions."""
    ours = seconds_of(record)
    return ratios(seconds_of(baseline) if baseline else dict.fromkeys(ours, (1.0,)), ours)
