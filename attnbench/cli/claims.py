"""`attnbench claims`: what a run says of published claims."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import Results


class Output(StrEnum):
    """How judgements are printed."""

    table = "table"
    json = "json"


def claims(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="The folder of a run.", show_default="the newest")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--claims",
            metavar="FILE",
            help="Claims of your own in TOML, as attnbench/paper/claims.toml explains.",
            show_default="the paper's",
        ),
    ] = None,
    output: Annotated[
        Output, typer.Option("--format", help="A line a claim, or JSON for scripts.")
    ] = Output.table,
    results: Results = Path("results"),
) -> None:
    """Put published claims to a run: each holds, fails, is unclear or is not testable there, and why."""
    from attnbench.cli import show
    from attnbench.cli.console import console
    from attnbench.paper import claims_file
    from attnbench.paper.builtin import builtin
    from attnbench.record import newest, read
    from attnbench.report.claims import judge, summary
    from attnbench.report.export import claims_json

    published = claims_file.read(file).claims if file else builtin()
    found = read(run or newest(results))
    judgements = judge(published, found.records)
    if output is Output.json:
        print(claims_json(judgements))
        print(*found.warnings, sep="\n", end="", file=sys.stderr)
        return
    out = console()
    out.print(f"{found.folder}", style="bold", markup=False)
    show.print_claims(out, found, judgements)
    for warning in found.warnings:
        out.print(f"· {warning}", markup=False)
    out.print(f"{summary(judgements)}.")
