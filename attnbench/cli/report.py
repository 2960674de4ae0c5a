"""`attnbench report`: runs as tables for papers, as data for programs, and as a page for readers."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from attnbench.cli.completion import among
from attnbench.cli.completion import runs as folders
from attnbench.cli.help import SHOWN, WHAT, WHERE, argument, flag, option
from attnbench.cli.options import Baseline, Only, Rename, Results, read_name, read_selection
from attnbench.cli.table_options import SPREAD, Columns, Latency, SpreadOf, read_table_style
from attnbench.errors import AttnbenchError, writing
from attnbench.report.formats import FORMATS, Format

NAMES = [form.name for form in FORMATS]
OWN = "leave it out"
UNFINISHED = ".unfinished"  # behind the name of a file that is being written
SCHEMAS = {
    "columns": "it has all columns",
    "spread": "x_low and x_high are the ends of 95 % intervals there",
    "latency": "it has time_s and imgs_per_s",
}
"""Why a format that keeps its one schema has no use for an option of tables."""
EXAMPLES = {
    "a table to \\input into a paper": "attnbench report --format latex --out table.tex",
    "the same as a document of its own": "attnbench report --out table.tex --standalone",
    "two machines side by side": (
        "attnbench report results/table-iv-cpu results/table-iv-avx2-cpu --out 2.md"
    ),
    "a few columns, mean ± standard deviation": (
        "attnbench report --columns params,time_s,verdict --spread std --out t.tex"
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
    only: Only = None,
    rename: Rename = None,
    columns: Columns = None,
    spread: SpreadOf = SPREAD,
    latency: Latency = None,
    paper: Annotated[
        bool,
        flag("--paper/--no-paper", about="With the published numbers where there are any.", panel=WHAT),
    ] = True,
    asked: Annotated[
        str | None,
        option(
            "--format",
            metavar="FORMAT",
            about=f"{', '.join(NAMES)}.",
            panel=SHOWN,
            default="what --out ends in, or csv",
            autocompletion=among(*NAMES),
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
    bare: Annotated[
        bool,
        flag(
            "--bare",
            about="Captions of one line; in LaTeX what else there is to know is a comment above.",
            panel=SHOWN,
        ),
    ] = False,
    pivot: Annotated[
        bool,
        flag(
            "--pivot",
            about="One table of all settings, a group of columns for each, instead of a table each.",
            panel=SHOWN,
        ),
    ] = False,
    floating: Annotated[
        str | None,
        option(
            "--float",
            metavar="FLOAT",
            about="LaTeX over both columns of a page, table*, or within one, table.",
            panel=SHOWN,
            default="table*",
            autocompletion=among("table*", "table"),
        ),
    ] = None,
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
    from attnbench.analysis.analysis import open_runs
    from attnbench.cli.output import output, show
    from attnbench.records.record_file import newest
    from attnbench.report.table_style import FLOATS

    form = _form_of(asked, out)
    flags = [name for name, is_set in {"wide": wide, "standalone": standalone}.items() if is_set]
    asked_of_tables = {
        "columns": columns,
        "spread": spread != SPREAD,
        "latency": latency is not None,
        "bare": bare,
        "pivot": pivot,
        "float": floating,
    }
    _refuse_strangers(form, flags, [name for name, is_set in asked_of_tables.items() if is_set])
    style = replace(read_table_style(columns, spread, latency), bare=bare, pivot=pivot)
    if floating:
        style = replace(style, placement=read_name("--float", floating, FLOATS))
    selection = read_selection(only, rename)
    opened = open_runs(runs or [newest(results)], baseline, with_paper=paper, only=selection.needed)
    pieces = form.pieces(list(map(selection.of, opened)), style, *flags)
    if out is None:
        show(pieces)
        return
    _write(pieces, out)
    output().wrote([out])


def _write(pieces: Iterable[str], out: Path) -> None:
    """Write a file piece by piece; one that is there is replaced when the new one is whole."""
    place = out.resolve()
    is_special = out.exists() and not out.is_file()  # a device or a pipe, which stays what it is
    new = place if is_special else place.with_name(f"{place.name}{UNFINISHED}")
    with writing(out):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with new.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(pieces)
            if not is_special:
                new.replace(place)
        except BaseException:
            if not is_special:
                new.unlink(missing_ok=True)
            raise


def _form_of(asked: str | None, out: Path | None) -> Format:
    """The format of this name, or what the end of a file's name asks for; CSV where there is neither."""
    if asked:
        return FORMATS[NAMES.index(read_name("--format", asked, NAMES))]
    if out is None:
        return FORMATS[0]
    by_suffix = {form.suffix: form for form in FORMATS}
    if out.suffix not in by_suffix:
        raise AttnbenchError(
            f"What to write does not follow from the name {out}, which could end in {', '.join(by_suffix)}; "
            "say it with --format."
        )
    return by_suffix[out.suffix]


def _refuse_strangers(form: Format, flags: Sequence[str], of_tables: Sequence[str]) -> None:
    """Refuse what is an option of another format, or of tables where a format keeps its one schema."""
    for name in flags:
        if name not in form.flags:
            owner = next(other.name for other in FORMATS if name in other.flags)
            raise AttnbenchError(
                f"--{name} is for {owner}, not for {form.name}; leave it out, or take --format {owner}."
            )
    for name in of_tables:
        if name not in form.takes:
            takers = " or ".join(other.name for other in FORMATS if name in other.takes)
            raise AttnbenchError(f"--{name} is for {takers}, not for {form.name}: {SCHEMAS.get(name, OWN)}.")
