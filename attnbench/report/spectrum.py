"""What `attnbench spectrum` says in words and numbers."""

from pathlib import Path

from attnbench.errors import writing
from attnbench.records.spectrum import Curve, Survey
from attnbench.report.csv_text import csv_text
from attnbench.words import plural

PROFILE = "profile.csv"
COLUMNS = ("mechanism", "branch", "frequency", "log10_amplitude_relative", "log10_amplitude_over_input")


def caption(survey: Survey) -> str:
    """What was put into which layers, for the reader of a figure."""
    geometry = survey.geometry
    return (
        f"{geometry.height}×{geometry.width} tokens, {plural(geometry.dim, 'channel')}, "
        f"{plural(geometry.heads, 'head')}, {plural(survey.images, 'image')}, seed {survey.seed}. Weights "
        "are random and maps generated, with amplitudes that fall as 1/f: a property of the mechanism's "
        "form, not of a trained model."
    )


def spectrum_notes(survey: Survey) -> list[str]:
    """What a reader must know beside the table."""
    rounding = [_rounding(curve) for curve in survey.curves if curve.is_rounding]
    return [caption(survey), *rounding, *survey.failures]


def write_profile(survey: Survey, folder: Path) -> Path:
    """Write every ring of every curve, and of the input, to `profile.csv` and return its path."""
    path = folder / PROFILE
    source = survey.source.profile
    curves = [(curve.label, curve.branch, curve.profile, curve.gain) for curve in survey.curves]
    lines = (
        dict(zip(COLUMNS, (label, branch, *(f"{number:.6f}" for number in numbers)), strict=True))
        for label, branch, profile, gain in [("input", "", source, 0 * source), *curves]
        for numbers in zip(survey.frequencies, profile, gain, strict=True)
    )
    with writing(path):
        path.write_text(csv_text(lines), encoding="utf-8", errors="backslashreplace")
    return path


def _rounding(curve: Curve) -> str:
    return (
        f"{curve.name} hardly varies over the map: its frequencies above zero are under a millionth of its "
        "mean, so its curve is rounding."
    )
