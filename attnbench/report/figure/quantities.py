"""What figures draw of a row, in the units of their axes."""

from collections.abc import Callable

from attnbench.analysis.rows import Row
from attnbench.report.columns import ENERGY, PARAMS, THROUGHPUT
from attnbench.statistics import Estimate

ValueOf = Callable[[Row], Estimate | None]
params_m: ValueOf = PARAMS.in_unit  # millions
energy_mj: ValueOf = ENERGY.in_unit  # millijoules an image
throughput: ValueOf = THROUGHPUT.in_unit  # images per second


def macs_m(row: Row) -> Estimate | None:
    """Millions of multiply-adds for one image, by the closed form where they could not be counted."""
    macs = row.record.macs if row.record.macs is not None else row.record.macs_closed_form
    return Estimate(macs / 1e6) if macs is not None else None


def total_mib(row: Row) -> Estimate | None:
    """What a call needs in all, weights and input included, in MiB."""
    return Estimate(row.record.memory.total_bytes / 2**20) if row.record.memory else None
