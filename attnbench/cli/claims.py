"""`attnbench claims`: what a run says of published claims."""

from pathlib import Path
from typing import Annotated

from attnbench.cli.help import WHAT, option
from attnbench.cli.options import Format, Results, Run, TableOrJson, read_form

EXAMPLES = {
    "what the newest run says of the paper": "attnbench claims",
    "what a run that came with attnbench says of it": "attnbench claims results/table-iv-cpu",
    "claims of your own": "attnbench claims --claims my_claims.toml",
    "which of them fail, for a program": (
        "attnbench claims --format json | jq '.[] | select(.verdict == \"fails\") | .id'"
    ),
}


def claims(
    run: Run = None,
    file: Annotated[
        Path | None,
        option(
            "--claims",
            metavar="FILE",
            about="Claims of your own in TOML, as attnbench/paper/claims.toml explains.",
            panel=WHAT,
            default="the paper's",
        ),
    ] = None,
    form: TableOrJson = Format.table,
    results: Results = Path("results"),
) -> None:
    """Put published claims to a run: each holds, fails, is unclear or is not testable there, and why.

    Counts and ratios are judged, levels are not: another machine has others. Beside a verdict stands what
    differs between the claim's setting and the run's.
    """
    from attnbench.analysis.analysis import require_rows
    from attnbench.analysis.claims import judge, papers_claims
    from attnbench.cli import show
    from attnbench.cli.output import output
    from attnbench.paper import claims_file
    from attnbench.records.record_file import newest, read
    from attnbench.report.objects import claims_json

    here = output(read_form(form))
    own = claims_file.read(file).claims if file else None
    record_file = read(run or newest(results))
    require_rows(record_file)
    published = own or papers_claims(record_file.records)
    judgements = judge(published, record_file.records)
    if here.form is Format.json:
        here.data(claims_json(judgements))
        here.note(record_file.warnings)
    else:
        show.print_judgements(here, record_file, judgements)
