"""What each mechanism is drawn with on a page: what it has in all figures."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ink:
    """A colour, and a marker by matplotlib's letter."""

    colour: str
    marker: str
    dash: str = "-"
    fill: str = "full"


def inks_of(labels: Iterable[str]) -> dict[str, Ink]:
    """The ink of each label."""
    from attnbench.report.figure.style import colour, marker

    among = list(dict.fromkeys(labels))
    return {label: Ink(colour(label, among), marker(label, among)) for label in among}
