"""The rows that a reader wants to see: some of a run's, in an order and under names of the reader's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.difference import Change
from attnbench.analysis.rows import Row
from attnbench.cases.labels import label_among


@dataclass(frozen=True, slots=True)
class Selection:
    """Mechanisms by label or title: `only` these in this order, or all; `names` for some of them."""

    only: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def needed(self) -> tuple[str, ...]:
        """The mechanisms that a run must have rows of; none named where all are wanted."""
        return (*self.only, *self.names) if self.only else ()

    def of(self, run: Analysis) -> Analysis:
        """The run as the reader wants it; its records, and so its claims, stay whole.

        A mechanism that the run does not have is an `AttnbenchError`.
        """
        return replace(run, rows=self.among(run.rows)) if self.only or self.names else run

    def among(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that are wanted, under the names that are wanted; what is not there is as in `of`."""
        names = {label_in(rows, text): name for text, name in self.names.items()}
        labels = list(dict.fromkeys(label_in(rows, text) for text in self.only))
        chosen = (
            [row for label in labels for row in rows if row.record.case.label == label]
            if labels
            else list(rows)
        )
        return [row.titled(names.get(row.record.case.label, row.record.case.title)) for row in chosen]

    def of_changes(self, changes: Sequence[Change]) -> list[Change]:
        """The cases of two runs as the reader wants them."""
        if not changes or self == EVERYTHING:
            return list(changes)
        rows = [change.after for change in changes]
        names = {label_in(rows, text): name for text, name in self.names.items()}
        order = {label_in(rows, text): place for place, text in enumerate(self.only)}
        chosen = [change for change in changes if not order or change.after.record.case.label in order]
        return [
            replace(change, before=change.before.titled(name), after=change.after.titled(name))
            for change in sorted(chosen, key=lambda change: order.get(change.after.record.case.label, 0))
            for case in [change.after.record.case]
            for name in [names.get(case.label, case.title)]
        ]


EVERYTHING = Selection()


def label_in(rows: Sequence[Row], text: str) -> str:
    """The label of the mechanism that a text means, of those in a run."""
    return label_among([row.record.case for row in rows], text)
