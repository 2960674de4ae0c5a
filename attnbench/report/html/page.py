"""A report as one HTML file, put together from its parts."""

import base64
import gzip
import hashlib
import shlex
from collections.abc import Sequence
from importlib.resources import files

from attnbench.analysis.analysis import Analysis
from attnbench.records.record_file import RECORDS
from attnbench.report.colours import mark_styles_of
from attnbench.report.formats.long_csv import long_csv
from attnbench.report.html.about import facts, particulars, title
from attnbench.report.html.data import data
from attnbench.report.html.rendering import rendered
from attnbench.report.html.settings import FACETS, RUN, differing, settings_of
from attnbench.report.html.table import filters, key, meanings, result_table
from attnbench.report.table_style import STYLE, TableStyle

NUMBERS = "results.csv"
SCRIPTS = ("theme.js", "figures.js", "scaling.js", "table.js", "page.js")


def page(runs: Sequence[Analysis], style: TableStyle = STYLE) -> str:
    """Table, figures, notes, the commands that measure the runs again, and their records to save.

    The `style` says which columns the table has; figures and files have all there is.
    """
    settings = settings_of(runs)
    facets = differing((RUN, *FACETS), settings)
    library, script = _text("vendor/plotly-basic.min.js"), "\n".join(map(_text, SCRIPTS))
    rows = [row for run in runs for row in run.rows]
    styles = mark_styles_of(row.record.case.label for row in rows)
    return rendered(
        "page.html",
        policy=_policy(library, script),
        title=title(runs),
        style=_text("page.css"),
        facts=facts(runs),
        filters=filters(settings, facets),
        table=result_table(settings, facets, styles, style),
        key=key(rows),
        meanings=meanings(rows, style),
        runs=[particulars(run) for run in runs],
        command=_command(runs, style),
        data=data(settings, styles),
        files=_files(runs),
        library=library,
        script=script,
    )


def _files(runs: Sequence[Analysis]) -> list[dict[str, str]]:
    """What can be saved from the page: all numbers as CSV, then each run's records as they are kept."""
    alone = len(runs) == 1
    names = [RECORDS if alone else f"{run.name.replace('/', '-')}-{RECORDS}" for run in runs]
    records = [(run.file.folder / RECORDS).read_bytes() for run in runs]
    return [_packed(NUMBERS, long_csv(runs).encode()), *map(_packed, names, records)]


def _packed(name: str, content: bytes) -> dict[str, str]:
    return {"name": name, "gzip": base64.b64encode(gzip.compress(content, mtime=0)).decode()}


def _command(runs: Sequence[Analysis], style: TableStyle) -> str:
    """What makes the page again; of a path that may name a user, only the end."""
    columns = ["--columns", ",".join(each.name for each in style.columns)] if style.columns else []
    folders = (run.name if run.file.folder.is_absolute() else str(run.file.folder) for run in runs)
    return shlex.join(["attnbench", "report", *folders, "--format", "html", *columns])


def _policy(*scripts: str) -> str:
    """What a browser may do with this page: run these scripts and no other, and ask no host for anything."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
