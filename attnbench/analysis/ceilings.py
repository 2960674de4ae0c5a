"""What a machine is: the rates of its ceilings, what will disturb it, and how it was set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attnbench.cases.protocol import KEPT
from attnbench.machine.allocator import KEEP_FREED_MEMORY
from attnbench.records.record import Record
from attnbench.statistics import Estimate, median_with_interval


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen on one device: a record for each ceiling, and what will disturb a measurement."""

    ceilings: Sequence[Record]
    advice: Sequence[str]


def chosen_variables(record: Record) -> dict[str, str]:
    """The environment of a record without what attnbench itself sets for an allocator of the kind `kept`."""
    kept = record.conditions.protocol.allocator == KEPT
    return (
        without_allocator_variables(record.conditions.machine.environment)
        if kept
        else dict(record.conditions.machine.environment)
    )


def without_allocator_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what lets a process keep the memory that it frees."""
    return {name: value for name, value in environment.items() if KEEP_FREED_MEMORY.get(name) != value}


def rate_per_s(record: Record) -> Estimate | None:
    """Multiply-adds, or bytes read and written, in a second at a ceiling; None where it was not measured."""
    if record.outcome != "measured":
        return None
    work = (record.macs if record.case.mechanism == "matmul" else record.least_bytes) or 0
    rates = [work / sample.seconds for sample in record.samples]
    return median_with_interval(rates, [sample.session for sample in record.samples])
