"""The table of the runs in a folder."""

from collections.abc import Sequence

from attnbench.analysis.overview import Overview
from attnbench.report.terminal.grid import Grid, GridColumn
from attnbench.words import NOTHING


def runs_table(runs: Sequence[Overview]) -> Grid:
    """A line a run, the newest first."""
    return Grid(
        [
            GridColumn("Run", [run.folder.name for run in runs], wraps=True),
            GridColumn("Begun", [run.started_at.partition("T")[0] or NOTHING for run in runs]),
            GridColumn("Machine", [", ".join(run.machines) for run in runs], wraps=True, drop_order=1),
            GridColumn("Setting", [run.problem or run.setting for run in runs], wraps=True),
            GridColumn("Rows", [f"{run.measured}/{run.rows}" if run.rows else NOTHING for run in runs]),
            GridColumn("", [_lacks(run) for run in runs]),
        ],
        caption="Rows = those with a time, of all. An incomplete run goes on with the command that began it.",
    )


def _lacks(run: Overview) -> str:
    """That something is left to do, of which a cluster has done so much."""
    if run.complete:
        return ""
    return f"{run.blocks_done}/{run.blocks} blocks" if run.blocks else "incomplete"
