"""`attnbench compare`: a run beside the paper, or two runs side by side."""

from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import PaperWidth, Results, Svg, read_share
from attnbench.errors import AttnbenchError

SLOWER = 3  # the exit status that --fail-on promises


def compare(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="The folder of a run.", show_default="the newest")
    ] = None,
    after: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="A later run, to be set beside the first.")
    ] = None,
    plot: Annotated[
        bool,
        typer.Option("--plot", help="Draw the run: Figure 6; over sizes Figure 3; over a setting Figure 4."),
    ] = False,
    width: PaperWidth = None,
    svg: Svg = False,
    kernels: Annotated[
        bool,
        typer.Option("--kernels", help="Which order survives: all variants of a run beside each other."),
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="LABEL", help="What speeds are relative to.", show_default="the run's"
        ),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option("--fail-on", metavar="slower:SHARE", help="Exit with 3 if a verdict is slower by more."),
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Compare the members of a run with a baseline and with the paper, or two runs case by case."""
    from attnbench.cli import show
    from attnbench.cli.console import console
    from attnbench.record import newest, read
    from attnbench.report.figure.sheet import Sheet

    share = _read_threshold(fail_on) if fail_on else None
    if (width or svg) and not plot:
        raise AttnbenchError("--width and --svg say how figures are drawn; add --plot to draw them.")
    sheet = Sheet(width, svg=svg) if plot else None
    first = read(run or newest(results))
    out = console()
    if after is not None and kernels:
        raise AttnbenchError("--kernels compares the variants of one run; leave out the other run.")
    if after is None and kernels:
        slower = show.print_ledgers_of(out, first, baseline, sheet, share=share)
    elif after is None:
        slower = show.print_run(out, first, baseline, sheet, share=share)
    else:
        slower = show.print_changes(out, first, read(after), baseline, share=share)
    if slower:
        out.print(f"Slower by more than {fail_on}: {', '.join(slower)}.")
        raise typer.Exit(SLOWER)


def _read_threshold(text: str) -> float:
    kind, _, share = text.partition(":")
    if kind != "slower":
        raise AttnbenchError(f"--fail-on is {text!r}; it must be slower:SHARE, such as slower:5%.")
    return read_share("--fail-on slower", share)
