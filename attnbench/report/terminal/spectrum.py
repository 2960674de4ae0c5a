"""How much of each frequency comes through layers."""

from rich.markup import escape
from rich.table import Table

from attnbench.records.spectrum import Survey


def spectrum_table(survey: Survey) -> Table:
    """How far each curve falls to the highest ring up to Nyquist, and how much of the input comes through."""
    lowest, highest = (f"{survey.frequencies[ring]:.2f}" for ring in (0, survey.highest))
    table = Table(title=f"From {lowest} to {highest} cycles per token", title_justify="left")
    table.add_column("output of", overflow="fold")
    for heading in ("falls by (decades)", "input falls by", f"× input at {lowest}", f"× input at {highest}"):
        table.add_column(heading, justify="right")
    source = f"{-survey.source.profile[survey.highest]:.2f}"
    for curve in survey.curves:
        passed = [f"{10 ** curve.gain[ring]:.3g}" for ring in (0, survey.highest)]
        table.add_row(escape(curve.name), f"{-curve.profile[survey.highest]:.2f}", source, *passed)
    return table
