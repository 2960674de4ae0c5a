"""A report as one HTML file, put together from its parts."""

import base64
import gzip
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from attnbench.record import RECORDS
from attnbench.report.html.about import facts, particulars, title
from attnbench.report.html.data import data
from attnbench.report.html.markup import embedded, joined, tag, unbroken
from attnbench.report.html.places import RUN, SETTING, Run, differing, places
from attnbench.report.html.table import filters, key, meanings, result_table

SCRIPTS = ("figures.js", "table.js", "page.js")


def page(runs: Sequence[Run], command: str) -> str:
    """The whole file; `command` is what makes it again."""
    among = places(runs)
    facets = differing((RUN, *SETTING), among)
    library, script = _text("vendor/plotly-basic.min.js"), "\n".join(map(_text, SCRIPTS))
    table = [row for run in runs for row in run.rows]
    alone = len(runs) == 1
    return Template(_text("page.html")).substitute(
        policy=_policy(library, script),
        title=joined(title(runs)),
        style=_text("page.css"),
        facts=facts(runs),
        filters=filters(among, facets),
        table=result_table(among, facets),
        key=joined(key(table)),
        meanings=meanings(table),
        runs=joined(*(particulars(run, number, alone=alone) for number, run in enumerate(runs))),
        footer=joined("Made by ", tag("code", unbroken(command))),
        data=embedded(data(among)),
        files=embedded([_file(run, alone=alone) for run in runs]),
        library=library,
        script=script,
    )


def _file(run: Run, *, alone: bool) -> dict[str, str]:
    """A run's records to be saved from the page, and the name that they get there."""
    packed = gzip.compress(run.records, mtime=0)
    name = RECORDS if alone else f"{run.name}-{RECORDS}"
    return {"name": name, "gzip": base64.b64encode(packed).decode()}


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
