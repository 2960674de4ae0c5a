"""How many times as fast each mechanism is as its plain transcription, in a run that measured both.

python -m tests.plain results/against-plain-cpu
"""

import sys
from pathlib import Path

from attnbench.record import read
from attnbench.report.metrics import rows, speed_of


def main(folder: Path) -> None:
    table = rows(read(folder).records)
    for row in table:
        name = row.record.label
        speed = speed_of(name, f"plain-{name}", row.device, table)
        if speed is not None and speed.low is not None:
            print(f"{name:15} {speed.value:.2f} [{speed.low:.2f}, {speed.high:.2f}]")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
