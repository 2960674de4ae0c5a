"""Crossovers for the terminal."""

from collections.abc import Sequence

from rich.table import Table

from attnbench.report.crossover import Crossover
from attnbench.report.digits import estimated
from attnbench.words import many

UNCHANGED = "No two mechanisms are seen to change order between these sizes."


def crossover_table(shown: Sequence[Crossover], others: int) -> Table:
    """A line a crossover, the first of them as a sentence, and how many `others` there are."""
    table = Table(
        title="Where the order changes with resolution", title_justify="left", caption_justify="left"
    )
    for heading in ("Faster beyond", "Slower beyond"):
        table.add_column(heading)
    table.add_column("Tokens a side [95 %]", justify="right")
    for heading in ("Mode", "Batch", "Device"):
        table.add_column(heading)
    for crossover in shown:
        record = crossover.faster.record
        names = crossover.faster.record.title, crossover.slower.record.title
        table.add_row(*names, estimated(crossover.side), record.mode, str(record.batch), record.device)
    table.caption = "\n".join([*map(_sentence, shown[:1]), *_others(others)])
    return table


def _sentence(crossover: Crossover) -> str:
    faster, slower = crossover.faster.record.title, crossover.slower.record.title
    return f"From {estimated(crossover.side)} tokens a side on, {faster} is faster than {slower}"


def _others(number: int) -> list[str]:
    if not number:
        return []
    return [
        f"and {many(number, 'crossover')} between other mechanisms, which --plot writes to crossovers.csv"
    ]
