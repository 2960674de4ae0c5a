"""How much of each frequency comes through layers."""

from attnbench.records.spectrum import Survey
from attnbench.report.terminal.grid import Grid, GridColumn


def spectrum_table(survey: Survey) -> Grid:
    """How far each curve falls to the highest ring up to Nyquist, and how much of the input comes through."""
    rings = (0, survey.highest)
    lowest, highest = (f"{survey.frequencies[ring]:.2f}" for ring in rings)
    falls = [f"{-curve.profile[survey.highest]:.2f}" for curve in survey.curves]
    source = f"{-survey.source.profile[survey.highest]:.2f}"
    at_lowest, at_highest = ([f"{10 ** curve.gain[ring]:.3g}" for curve in survey.curves] for ring in rings)
    columns = [
        GridColumn("output of", [curve.name for curve in survey.curves], wraps=True),
        GridColumn("falls by (decades)", falls),
        GridColumn("input falls by", [source] * len(falls)),
        GridColumn(f"× input at {lowest}", at_lowest),
        GridColumn(f"× input at {highest}", at_highest),
    ]
    return Grid(columns, f"From {lowest} to {highest} cycles per token", title_justify="left")
