"""Files and texts for other programs; a run's can be made again from its records."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from attnbench.catalogue import Entry
from attnbench.errors import writing
from attnbench.report.frame import frame
from attnbench.report.metrics import Row

TABLE = "table.csv"


def write_table(rows: Sequence[Row], folder: Path) -> Path:
    """Write the rows to `table.csv` in the run's folder and return its path."""
    path = folder / TABLE
    with writing(path):
        frame(rows).to_csv(path, index=False)
    return path


def registry_csv(entries: Sequence[Entry]) -> str:
    """The registry as CSV: exact counts, and the published ones in millions."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "title", "params", "macs", "published_params_m", "published_flops_m"])
    for entry in entries:
        published = entry.published
        paper = (f"{published.params_m:.2f}", f"{published.flops_m:.1f}") if published else ("", "")
        mechanism = entry.choice.mechanism
        writer.writerow([mechanism.name, mechanism.title, entry.params, entry.macs, *paper])
    return text.getvalue()
