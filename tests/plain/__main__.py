"""How many times as fast each mechanism is as its plain transcription, in a run that measured both.

python -m tests.plain results/against-plain-cpu

A line a mechanism: for each kernel the ratio to the plain form with explicit attention in the same number
format, which is how people publish it, and the fraction of the machine's limit; then that of the plain form,
and how many times as fast a layer at the limit would be. The last line has the geometric means of the best
ratios and of those at the limit.
"""

import math
import sys
from dataclasses import replace
from pathlib import Path
from statistics import geometric_mean

from attnbench.analysis.block import compared
from attnbench.analysis.rows import Measured, grouped, measured, rows
from attnbench.cases.variant import PLAIN
from attnbench.records.record_file import read
from attnbench.statistics import Estimate

PREFIX = "plain-"


def main(folder: Path) -> None:
    table = measured(rows(read(folder).records))
    plain = {ours_of(row): row for row in table if is_plain(row)}
    best, most = [], []
    rows_of_ours = [
        row for row in table if not row.record.case.label.startswith(PREFIX) and ours_of(row) in plain
    ]
    for ours in grouped(rows_of_ours, ours_of):
        name, dtype = ours_of(ours[0])
        transcribed = plain[name, dtype]
        speeds = {row.record.case.variant.kernel: speed(row, transcribed) for row in ours}
        best.append(max(estimate.value for estimate in speeds.values()))
        cells = [
            f"{row.record.case.variant.kernel:8} {shown(speeds[row.record.case.variant.kernel])} {share(row)}"
            for row in ours
        ]
        most.append(at_the_limit(transcribed))
        print(f"{name:15} {'   '.join(cells)}   plain {share(transcribed)}, at the limit {most[-1]:.2f}")
    means = f"{geometric_mean(best):.2f}, at the limit {geometric_mean(most):.2f}"
    print(f"geometric mean of the best: {means}, over {len(best)}")


def is_plain(row: Measured) -> bool:
    return (
        row.record.case.label.startswith(PREFIX)
        and replace(row.record.case.variant, dtype=PLAIN.dtype) == PLAIN
    )


def ours_of(row: Measured) -> tuple[str, str]:
    """The mechanism that a row stands for, plain or not, and its number format."""
    return row.record.case.label.replace(PREFIX, ""), row.record.case.variant.dtype


def speed(row: Measured, plain: Measured) -> Estimate:
    """How many times as fast a layer is as its plain form, by the rounds that both have."""
    comparison = compared(row.record, plain.record)
    if comparison is None:
        raise ValueError(f"{row.record.case.title} and {plain.record.case.title} share no round")
    return comparison.ratio


def shown(estimate: Estimate) -> str:
    low, high = estimate.low or estimate.value, estimate.high or estimate.value
    return f"{estimate.value:.2f} [{low:.2f}, {high:.2f}]"


def at_the_limit(plain: Measured) -> float:
    """How many times as fast as its plain form a layer would be that takes no longer than it must."""
    return 1 / plain.timing.limit.fraction.value if plain.timing.limit else math.nan


def share(row: Measured) -> str:
    return f"{row.timing.limit.fraction.value:.2f}" if row.timing.limit else "—"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
