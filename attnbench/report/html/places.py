"""The places in runs where mechanisms are compared with each other, and what places differ in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import Row, grouped, setting
from attnbench.records.record import Record


@dataclass(frozen=True, slots=True)
class Place:
    """Rows of one run in one setting on one device: what is compared with each other."""

    run: Analysis
    rows: Sequence[Row]

    @property
    def record(self) -> Record:
        """Any of the records, for what they share."""
        return self.rows[0].record

    @property
    def size(self) -> str:
        return self.record.case.workload.geometry.size.replace("x", "×")

    @property
    def title(self) -> str:
        """The whole setting: `cpu, 14×14 tokens, 768 channels, …`."""
        return self.name(SETTING)

    def name(self, facets: Sequence["Facet"]) -> str:
        """Its values in these facets."""
        return ", ".join(facet.words.format(facet.text(self)) for facet in facets)


@dataclass(frozen=True, slots=True)
class Facet:
    """Something that places differ in; `words` are what a sentence makes of its values."""

    name: str
    title: str
    text: Callable[[Place], str]
    words: str = "{}"


RUN = Facet("run", "Run", lambda place: place.run.name)
SETTING = (
    Facet("device", "Device", lambda place: place.record.case.device),
    Facet("size", "Size", lambda place: place.size, "{} tokens"),
    Facet(
        "dim",
        "Dim",
        lambda place: (
            f"{place.record.case.workload.geometry.dim}, {place.record.case.workload.geometry.heads} heads"
        ),
        "dim {}",
    ),
    Facet("batch", "Batch", lambda place: str(place.record.case.workload.batch), "batch {}"),
    Facet("mode", "Mode", lambda place: place.record.case.workload.mode),
    Facet("variant", "Variant", lambda place: place.record.case.variant.title),
)


def places(runs: Sequence[Analysis]) -> list[Place]:
    """All places, in the order of the runs and of their rows."""
    return [
        Place(run, rows) for run in runs for rows in grouped(run.rows, lambda row: (row.device, setting(row)))
    ]


def differing(facets: Sequence[Facet], among: Sequence[Place]) -> list[Facet]:
    """Those of the facets that places differ in."""
    return [facet for facet in facets if len({facet.text(place) for place in among}) > 1]
