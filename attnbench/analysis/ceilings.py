"""What a machine can do at best, and what will disturb it."""

from collections.abc import Sequence
from dataclasses import dataclass

from attnbench.records.record import Record
from attnbench.statistics import Estimate, median_with_interval


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen on one device: a record for each ceiling, and what will disturb a measurement."""

    ceilings: Sequence[Record]
    advice: Sequence[str]


def rate_per_s(record: Record) -> Estimate | None:
    """Multiply-adds, or bytes read and written, in a second at a ceiling; None where it was not measured."""
    if record.outcome != "measured":
        return None
    work = (record.macs if record.case.mechanism == "matmul" else record.least_bytes) or 0
    rates = [work / sample.seconds for sample in record.settled_samples]
    return median_with_interval(rates, [sample.session for sample in record.settled_samples])
