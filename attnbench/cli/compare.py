"""`attnbench compare`: a run beside the paper."""

from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import Results
from attnbench.errors import AttnbenchError


def compare(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="The folder of a run. [default: the newest]")
    ] = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw Figure 6 and its companions beside the run.")
    ] = False,
    results: Results = Path("results"),
) -> None:
    """Set a run beside the paper's table: ratios to MSA, rank correlation, claims; with --plot, Figure 6."""
    from attnbench.cli.console import console
    from attnbench.cli.show import print_results
    from attnbench.record import newest, read
    from attnbench.report.metrics import rows
    from attnbench.report.table import agreement, claims_table

    found = read(run or newest(results))
    if not found.records:
        raise AttnbenchError(f"The run in {found.folder} holds no rows; nothing was measured in it.")
    table = rows(found.records)
    out = console()
    out.print(f"{found.folder}", style="bold")
    print_results(out, found, table)
    for line in agreement(table):
        out.print(line)
    out.print(claims_table(table))
    if plot:
        from attnbench.report.figure import save_figures

        for path in save_figures(table, found.folder):
            out.print(f"drawn: {path}")
