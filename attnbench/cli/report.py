"""`attnbench report`: runs as tables for papers, as data for programs, and as a page for readers."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

from attnbench.cli.completion import among
from attnbench.cli.completion import runs as folders
from attnbench.cli.help import SHOWN, WHAT, WHERE, argument, flag, option
from attnbench.cli.options import Baseline, Results, read_name
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


EXAMPLES = {
    "a table to \\input into a paper": "attnbench report --format latex --out table.tex",
    "the same as a document of its own": "attnbench report --out table.tex --standalone",
    "two machines side by side": (
        "attnbench report results/table-iv-cpu results/table-iv-avx512-cpu --out 2.md"
    ),
    "a page with charts that a co-author opens": "attnbench report --out report.html",
    "every number with its interval, a line each": "attnbench report --format csv | head",
}


def report(
    runs: Annotated[
        list[Path] | None,
        argument(
            "RUN",
            about="Folders of runs, which become groups of columns side by side.",
            default="the newest",
            autocompletion=folders,
        ),
    ] = None,
    baseline: Baseline = None,
    paper: Annotated[
        bool,
        flag("--paper/--no-paper", about="With the published numbers where there are any.", panel=WHAT),
    ] = True,
    asked: Annotated[
        str | None,
        option(
            "--format",
            metavar="FORMAT",
            about=f"{', '.join(Form)}.",
            panel=SHOWN,
            default="what --out ends in, or csv",
            autocompletion=among(*Form),
        ),
    ] = None,
    wide: Annotated[
        bool,
        flag("--wide", about="CSV with a line a mechanism instead of one a number.", panel=SHOWN),
    ] = False,
    standalone: Annotated[
        bool,
        flag("--standalone", about="LaTeX as a whole document instead of tables to \\input.", panel=SHOWN),
    ] = False,
    out: Annotated[
        Path | None,
        option("--out", metavar="FILE", about="Where to write.", panel=WHERE, default="standard output"),
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Write runs for papers (LaTeX, Markdown), programs (CSV, JSON) or readers (HTML), intervals and all.

    Several runs stand side by side, as CPU and GPU do in Table IV. LaTeX needs booktabs; the best of a column
    is bold, the second underlined. HTML is one file that needs no network, with the raw records in it.
    """
    from attnbench.analysis.runs import Run, open_runs
    from attnbench.records.record import newest
    from attnbench.report.formats.json_object import json_object
    from attnbench.report.formats.latex import latex
    from attnbench.report.formats.long_csv import long_csv
    from attnbench.report.formats.markdown import markdown
    from attnbench.report.formats.wide_csv import wide_csv
    from attnbench.report.html.page import page

    form = Form(read_name("--format", asked, tuple(Form))) if asked else _form_of(out)
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
