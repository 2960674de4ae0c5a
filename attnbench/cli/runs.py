"""`attnbench runs`: the runs in a folder, when and on what they were measured, and what is in them."""

from pathlib import Path
from typing import Annotated

from attnbench.cli.help import argument
from attnbench.cli.options import Form, Format

EXAMPLES = {
    "the runs in results/, the newest first": "attnbench runs",
    "those of another folder, for a program": "attnbench runs /data/runs --format json",
}


def runs(
    results: Annotated[
        Path, argument("FOLDER", about="Where the folders of runs are.", default="results")
    ] = Path("results"),
    form: Form = Format.table,
) -> None:
    """List runs: when they began, the machine, the setting, how many rows, and whether they are complete.

    A run that cannot be read is a line that says why. --format csv and json have the same lines.
    """
    from attnbench.analysis.overview import overview
    from attnbench.cli.output import output
    from attnbench.report.csv_text import csv_text
    from attnbench.report.json_text import json_text
    from attnbench.report.terminal.runs import runs_table

    found = overview(results)
    here = output(form)
    lines = [run.line() for run in found]
    match form:
        case Format.table:
            here.out.print(runs_table(found))
        case Format.csv:
            here.data(csv_text(lines))
        case Format.json:
            here.data(json_text({"runs": lines}))
