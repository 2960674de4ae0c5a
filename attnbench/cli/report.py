"""`attnbench report`: runs as tables for papers, as data for programs, and as a page for readers."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import Results
from attnbench.errors import AttnbenchError, writing


class Form(StrEnum):
    """What a report is written in."""

    csv = "csv"
    markdown = "markdown"
    latex = "latex"
    json = "json"
    html = "html"


SUFFIXES = {
    ".csv": Form.csv,
    ".md": Form.markdown,
    ".tex": Form.latex,
    ".json": Form.json,
    ".html": Form.html,
}


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN", help="Folders of runs, side by side.", show_default="the newest"),
    ] = None,
    asked: Annotated[
        Form | None,
        typer.Option("--format", help="What to write.", show_default="what FILE ends in, or csv"),
    ] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="CSV with a line a mechanism instead of one a number.")
    ] = False,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="LaTeX as a whole document instead of tables to \\input.")
    ] = False,
    paper: Annotated[
        bool, typer.Option("--paper/--no-paper", help="With the published numbers where there are any.")
    ] = True,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="LABEL", help="What speeds are relative to.", show_default="the run's"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write.", show_default="standard output"),
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Write runs for papers (LaTeX, Markdown), programs (CSV, JSON) or readers (HTML), intervals and all."""
    from attnbench.record import newest
    from attnbench.report.formats.json_object import json_object
    from attnbench.report.formats.latex import latex
    from attnbench.report.formats.long_csv import long_csv
    from attnbench.report.formats.markdown import markdown
    from attnbench.report.formats.wide_csv import wide_csv
    from attnbench.report.html.page import page
    from attnbench.report.runs import Run, open_runs

    form = asked or _form_of(out)
    _refuse_strangers(form, wide=wide, standalone=standalone)
    writers: dict[Form, Callable[[Sequence[Run]], str]] = {
        Form.csv: wide_csv if wide else long_csv,
        Form.markdown: markdown,
        Form.latex: partial(latex, standalone=standalone),
        Form.json: json_object,
        Form.html: page,
    }
    text = writers[form](open_runs(runs or [newest(results)], baseline, with_paper=paper))
    if out is None:
        print(text, end="")
        return
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    print(f"written: {out}")


def _form_of(out: Path | None) -> Form:
    """What the end of a file's name asks for; CSV where there is no file."""
    if out is None:
        return Form.csv
    if out.suffix not in SUFFIXES:
        raise AttnbenchError(
            f"What to write does not follow from the name {out}, which could end in {', '.join(SUFFIXES)}; "
            "say it with --format."
        )
    return SUFFIXES[out.suffix]


def _refuse_strangers(form: Form, *, wide: bool, standalone: bool) -> None:
    """Refuse options of one format with another."""
    if wide and form is not Form.csv:
        raise AttnbenchError(f"--wide is for CSV, not for {form}; leave it out, or take --format csv.")
    if standalone and form is not Form.latex:
        raise AttnbenchError(f"--standalone is for LaTeX, not for {form}; leave it out.")
