"""How many times as fast each mechanism is as its plain transcription, in a run that measured both.

python -m tests.plain results/against-plain-cpu

A line a mechanism: for each kernel the ratio to the plain form with explicit attention, which is how people
publish it, and the fraction of the machine's limit. The last line is the geometric mean of the best ratios.
"""

import sys
from pathlib import Path
from statistics import geometric_mean

from attnbench.record import read
from attnbench.report.metrics import Measured, compared, grouped, measured, rows
from attnbench.statistics import Estimate
from attnbench.variant import PLAIN


def main(folder: Path) -> None:
    table = measured(rows(read(folder).records))
    plain = {row.record.label.removeprefix("plain-"): row for row in table if is_plain(row)}
    best = []
    for ours in grouped((row for row in table if row.record.label in plain), lambda row: row.record.label):
        name = ours[0].record.label
        speeds = {row.record.kernel: speed(row, plain[name]) for row in ours}
        best.append(max(estimate.value for estimate in speeds.values()))
        cells = [f"{row.record.kernel:8} {shown(speeds[row.record.kernel])} {share(row)}" for row in ours]
        print(f"{name:15} {'   '.join(cells)}   plain {share(plain[name])}")
    print(f"geometric mean of the best: {geometric_mean(best):.2f} over {len(best)}")


def is_plain(row: Measured) -> bool:
    return row.record.label.startswith("plain-") and row.record.variant == PLAIN


def speed(row: Measured, plain: Measured) -> Estimate:
    """How many times as fast a layer is as its plain form, by the rounds that both have."""
    comparison = compared(row.record, plain.record)
    if comparison is None:
        raise ValueError(f"{row.record.title} and {plain.record.title} share no round")
    return comparison.ratio


def shown(estimate: Estimate) -> str:
    low, high = estimate.low or estimate.value, estimate.high or estimate.value
    return f"{estimate.value:.2f} [{low:.2f}, {high:.2f}]"


def share(row: Measured) -> str:
    return f"{row.timing.limit.fraction.value:.2f}" if row.timing.limit else "—"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
