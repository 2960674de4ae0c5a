"""Crossovers for the terminal."""

from collections.abc import Sequence

from attnbench.analysis.crossover import Crossover
from attnbench.report.digits import estimated
from attnbench.report.terminal.grid import Grid, GridColumn
from attnbench.words import plural

UNCHANGED = "No two mechanisms are seen to change order between these sizes."


def crossover_table(shown: Sequence[Crossover], others: int) -> Grid:
    """A line a crossover, the first of them as a sentence, and how many `others` there are."""
    records = [crossover.faster.record for crossover in shown]
    side = records[0].case.workload.geometry.side_words.capitalize()
    columns = [
        GridColumn("Faster beyond", [record.case.title for record in records], wraps=True),
        GridColumn("Slower beyond", [crossover.slower.record.case.title for crossover in shown], wraps=True),
        GridColumn(f"{side} [95 %]", [estimated(crossover.side) for crossover in shown]),
        GridColumn("Mode", [record.case.workload.mode for record in records], wraps=True, drop_order=3),
        GridColumn("Batch", [str(record.case.workload.batch) for record in records], drop_order=2),
        GridColumn("Device", [record.case.device for record in records], wraps=True, drop_order=1),
    ]
    if any(crossover.faster.threads for crossover in shown):
        columns.append(GridColumn("Threads", [f"{record.conditions.threads}" for record in records]))
    caption = "\n".join([*map(_sentence, shown[:1]), *_others(others)])
    return Grid(columns, "Where the order changes with resolution", caption, title_justify="left")


def _sentence(crossover: Crossover) -> str:
    faster, slower = crossover.faster.record.case.title, crossover.slower.record.case.title
    side = f"{estimated(crossover.side)} {crossover.faster.record.case.workload.geometry.side_words}"
    return f"From {side} on, {faster} is faster than {slower}"


def _others(number: int) -> list[str]:
    if not number:
        return []
    return [
        f"and {plural(number, 'crossover')} between other mechanisms, which --plot writes to crossovers.csv"
    ]
