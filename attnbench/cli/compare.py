"""`attnbench compare`: a run beside the paper, or two runs side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.completion import runs
from attnbench.cli.help import SHOWN, WHAT, argument, flag, option
from attnbench.cli.options import (
    Bare,
    Baseline,
    Figures,
    Form,
    Format,
    Highlight,
    Only,
    PaperWidth,
    Rename,
    Results,
    Run,
    Svg,
    read_figures,
    read_selection,
    read_share,
    split_labels,
)
from attnbench.cli.table_options import SPREAD, Columns, Latency, SpreadOf, read_table_style
from attnbench.errors import AttnbenchError

if TYPE_CHECKING:
    from attnbench.analysis.rows import Row
    from attnbench.report.figure.print_size import PrintSize

SLOWER = 3  # the exit status that --fail-on promises
EXAMPLES = {
    "the newest run beside the paper, with its figures": "attnbench compare --plot",
    "the same for one of two columns of a paper": "attnbench compare --plot --width column",
    "a run that came with attnbench, relative to HiLo": (
        "attnbench compare results/table-iv-cpu --baseline hilo"
    ),
    "two layers in one figure, one of them yours": (
        "attnbench compare --only hilo,msa --rename hilo=Ours --figure throughput"
    ),
    "two machines side by side": "attnbench compare results/table-iv-cpu results/table-iv-h200 --plot",
    "in CI: fail when the later run is slower by more than 5 %": (
        "attnbench compare before after --fail-on slower:5%"
    ),
    "which kernel, number format or compilation makes which layer fast": "attnbench compare --kernels",
    "the speeds of the newest run, for a program": (
        "attnbench compare --format json | jq '.rows[] | [.label, .speed_vs_baseline]'"
    ),
}


def compare(
    run: Run = None,
    after: Annotated[
        Path | None,
        argument(
            "LATER",
            about="A later run, to be set beside the first.",
            default="none",
            autocompletion=runs,
        ),
    ] = None,
    baseline: Baseline = None,
    kernels: Annotated[
        bool,
        flag(
            "--kernels",
            about="Set the variants of a run beside each other: which order survives. Not with LATER.",
            panel=WHAT,
        ),
    ] = False,
    fail_on: Annotated[
        str | None,
        option(
            "--fail-on",
            metavar="slower:SHARE",
            about="Exit with 3 if a verdict is slower, and by more than 5% or 0.05.",
            panel=WHAT,
            default="never",
        ),
    ] = None,
    form: Form = Format.table,
    plot: Annotated[
        bool,
        flag(
            "--plot",
            about=(
                "Draw the run into its folder: Figure 6, ratios, FLOPs against time, the Pareto front; over "
                "sizes Figure 3; over a setting Figure 4; with --kernels all variants. With LATER a panel a "
                "run, each ratio within its own."
            ),
            panel=SHOWN,
        ),
    ] = False,
    figure: Figures = None,
    only: Only = None,
    rename: Rename = None,
    columns: Columns = None,
    spread: SpreadOf = SPREAD,
    latency: Latency = None,
    highlight: Highlight = None,
    width: PaperWidth = None,
    svg: Svg = False,
    bare: Bare = False,
    results: Results = Path("results"),
) -> None:
    """Compare the members of a run with a baseline and with the paper, or two runs case by case.

    One RUN: throughputs and memory, ratios to the baseline with verdicts, Kendall's τ with the paper's order,
    and where the order changes with size. Two: counts always, times where machine and settings agree; what
    both have as their baseline, with the same code, is the control. --format csv and json have the same rows.
    """
    from attnbench.analysis.analysis import analyses_of, analysis_of
    from attnbench.cli import show
    from attnbench.cli.output import output
    from attnbench.cli.two_runs import draw_side_by_side, print_changes
    from attnbench.records.record_file import newest, read

    selection = read_selection(only, rename)
    _refuse_of_programs(form, columns=bool(columns), spread=spread != SPREAD, latency=latency is not None)
    style = read_table_style(columns, spread, latency)
    if kernels and (columns or spread != SPREAD):
        raise AttnbenchError("--kernels has columns of its own; leave out --columns and --spread.")
    figures = read_figures(width, plot=plot, svg=svg, bare=bare, kinds=figure)
    if kernels and after is not None:
        raise AttnbenchError(
            "--kernels compares the variants of one run; leave it out, or leave out the other run."
        )
    if highlight and not figures:
        raise AttnbenchError("--highlight says how figures are drawn; add --plot or --figure to draw them.")
    share = _read_threshold(fail_on) if fail_on else None
    first = read(run or newest(results))
    here = output(form)
    if after is not None:
        later = read(after)
        slower = print_changes(
            here, first, later, baseline, share=share, selection=selection, style=style, drawn=bool(figures)
        )
        if figures:
            both = [
                selection.of(each) for each in analyses_of([first, later], baseline, only=selection.needed)
            ]
            rows = [row for each in both for row in each.rows]
            draw_side_by_side(here, both, _coloured(figures, rows, highlight))
    else:
        shown = selection.of(analysis_of(first, baseline, only=selection.needed))
        coloured = _coloured(figures, shown.rows, highlight) if figures else None
        print_one = show.print_matrices_of if kernels else show.print_run
        slower = print_one(here, shown, coloured, share=share, style=style)
    if share and slower:
        here.say(f"Slower by more than {100 * share:g}%: {', '.join(slower)}.")
        raise typer.Exit(SLOWER)


def _coloured(figures: "PrintSize", rows: Sequence["Row"], highlight: list[str] | None) -> "PrintSize":
    """How figures are drawn, with the mechanisms of these rows that stand out."""
    from attnbench.analysis.selection import label_in

    labels = frozenset(label_in(rows, text) for text in split_labels(highlight))
    return replace(figures, highlight=labels)


def _refuse_of_programs(form: Format, **asked: bool) -> None:
    """Refuse what is asked of tables where the answer is for programs, and has its one schema."""
    taken = {Format.table: set(asked), Format.csv: {"columns"}}.get(form, set())
    for name, is_set in asked.items():
        if is_set and name not in taken:
            raise AttnbenchError(
                f"--{name} is for tables, not for {form}, whose one schema has all columns, times and "
                "throughputs, and 95 % intervals; leave it out, or leave out --format."
            )


def _read_threshold(text: str) -> float:
    kind, _, share = text.partition(":")
    if kind != "slower":
        raise AttnbenchError(f"--fail-on is {text!r}; it must be slower:SHARE, such as slower:5%.")
    return read_share("--fail-on slower", share)
