"""What a device's energy counter says of a layer: means over sessions, with their intervals."""

from collections.abc import Iterable, Sequence

from attnbench.analysis.rows import Row
from attnbench.records.record import Energy
from attnbench.statistics import Estimate, mean_of_sessions


def joules_per_image(row: Row) -> Estimate | None:
    """Joules that one image takes; None where no energy was measured."""
    batch = row.record.case.workload.batch
    return _mean(energy.joules / (energy.calls * batch) for energy in _of(row))


def watts(row: Row) -> Estimate | None:
    """The power that the device draws while it makes call after call."""
    return _mean(energy.joules / energy.seconds for energy in _of(row))


def idle_w(row: Row) -> Estimate | None:
    """The power that the device draws before it has anything to do; None where that is not known."""
    return _mean(energy.idle_w for energy in _of(row) if energy.idle_w is not None)


def _of(row: Row) -> Sequence[Energy]:
    """What a row's calls took; nothing where they did not do the layer's work."""
    return row.record.energies if row.timing else ()


def _mean(values: Iterable[float]) -> Estimate | None:
    known = list(values)
    return mean_of_sessions(known) if known else None
