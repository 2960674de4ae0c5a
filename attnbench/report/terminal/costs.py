"""Tables of costs: choices counted at one size, and closed forms over sizes."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from attnbench.records.cost import BranchCost, Entry, Point, branch_titles, choices_of, points_of
from attnbench.report.caption import CONVENTION
from attnbench.report.terminal.grid import Grid, GridColumn
from attnbench.words import NOTHING

MECHANISM = "Mechanism"
PAPER = "paper"
LONGEST = 40  # letters of a title on one line
SIZE_LETTERS = len("271,287.6  ")  # of a column, with its padding


def choices_table(entries: Sequence[Entry]) -> Grid:
    """The chosen settings with exact counts, the published ones where there are any, and their branches."""
    published = [entry.published for entry in entries]
    columns = [
        GridColumn(MECHANISM, [entry.choice.mechanism.title for entry in entries], wraps=True),
        GridColumn("Settings", list(map(settings_of, entries)), wraps=True),
        GridColumn("Params", [exact(entry.params) for entry in entries], drop_order=4),
        paper_column([f"{paper.params_m:.2f} M" if paper else "" for paper in published], drop_order=1),
        GridColumn("FLOPs", [exact(entry.macs) for entry in entries]),
        paper_column([f"{paper.flops_m:.1f} M" if paper else "" for paper in published], drop_order=1),
    ]
    for title in branch_titles(entries):
        branches = [_branch(entry, title) for entry in entries]
        costs = [f"{branch.macs:,}" if branch else "" for branch in branches]
        heads = [f"{branch.heads}" if branch else "" for branch in branches]
        columns += [
            GridColumn(f"{title} FLOPs", costs, drop_order=3),
            GridColumn("heads", heads, drop_order=2),
        ]
    return Grid(
        [column for column in columns if column.heading != PAPER or any(column.cells)], caption=CONVENTION
    )


def settings_of(entry: Entry) -> str:
    """All settings of a choice: `alpha=0.9, window=2`."""
    return ", ".join(f"{key}={value}" for key, value in entry.choice.settings.items())


def paper_column(cells: Sequence[str], drop_order: int) -> GridColumn:
    """Published figures, which stand back."""
    return GridColumn(PAPER, cells, drop_order=drop_order, style="dim")


def exact(count: int | None) -> str:
    """Every digit of a count."""
    return NOTHING if count is None else f"{count:,}"


def flops_tables(points: Sequence[Point], width: int) -> list[Table]:
    """FLOPs of choices and their branches, a column a size: as many tables as a terminal's width asks for."""
    sizes = list(dict.fromkeys(point.geometry.size for point in points_of(points[0].choice, points)))
    names = min(LONGEST, max(len(point.choice.title) for point in points)) + 2
    at_once = max(1, (width - names) // SIZE_LETTERS)
    return [_flops_table(points, sizes[first : first + at_once]) for first in range(0, len(sizes), at_once)]


def _flops_table(points: Sequence[Point], sizes: Sequence[str]) -> Table:
    geometry = points[0].geometry
    table = Table(
        title=f"FLOPs (M), dim {geometry.dim}, {geometry.heads} heads",
        caption=f"{CONVENTION}; closed forms, nothing is measured",
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column(MECHANISM, overflow="fold", max_width=LONGEST)
    for size in sizes:
        table.add_column(size, justify="right", no_wrap=True)
    for choice in choices_of(points):
        mine = [point for point in points_of(choice, points) if point.geometry.size in sizes]
        table.add_row(escape(choice.title), *(_millions(point.macs) for point in mine))
        for title in branch_titles(mine):
            table.add_row(
                f"  {escape(title)}", *(_millions(point.branch(title)) for point in mine), style="dim"
            )
    return table


def _branch(entry: Entry, title: str) -> BranchCost | None:
    return next((branch for branch in entry.branches if branch.title == title), None)


def _millions(macs: int | None) -> str:
    return NOTHING if macs is None else f"{macs / 1e6:,.1f}"
