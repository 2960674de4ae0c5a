"""Tables of costs: choices counted at one size, and closed forms over sizes."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from attnbench.catalogue import Entry, Point, branch_titles, choices_of, points_of
from attnbench.report.caption import CONVENTION

SIZE_LETTERS = len("271,287.6  ")  # of a column, with its padding


def choices_table(entries: Sequence[Entry]) -> Table:
    """The chosen settings with exact counts, the published ones where there are any, and their branches."""
    with_paper = any(entry.published for entry in entries)
    titles = branch_titles(entries)
    table = Table(caption=CONVENTION, caption_justify="left")
    table.add_column("Mechanism", no_wrap=True)
    table.add_column("Settings")
    for heading in ("Params", *["paper"] * with_paper, "FLOPs", *["paper"] * with_paper):
        table.add_column(heading, justify="right", style="dim" if heading == "paper" else "")
    for title in titles:
        table.add_column(f"{title} FLOPs", justify="right")
        table.add_column("heads", justify="right")
    for entry in entries:
        branches = {branch.title: branch for branch in entry.branches}
        paper = entry.published
        cells = [_exact(entry.params), f"{paper.params_m:.2f} M" if paper else ""]
        cells += [_exact(entry.macs), f"{paper.flops_m:.1f} M" if paper else ""]
        for title in titles:
            branch = branches.get(title)
            cells += [f"{branch.macs:,}", f"{branch.heads}"] if branch else ["", ""]
        settings = ", ".join(f"{key}={value}" for key, value in entry.choice.settings.items())
        shown = [cells[0], *cells[1:2] * with_paper, cells[2], *cells[3:4] * with_paper, *cells[4:]]
        table.add_row(entry.choice.mechanism.title, settings, *shown)
    return table


def flops_tables(points: Sequence[Point], width: int) -> list[Table]:
    """FLOPs of choices and their branches, a column a size: as many tables as a terminal's width asks for."""
    sizes = list(dict.fromkeys(point.geometry.size for point in points_of(points[0].choice, points)))
    names = max(len(point.choice.title) for point in points) + 2
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
    table.add_column("Mechanism", no_wrap=True)
    for size in sizes:
        table.add_column(size, justify="right", no_wrap=True)
    for choice in choices_of(points):
        mine = [point for point in points_of(choice, points) if point.geometry.size in sizes]
        table.add_row(choice.title, *(_millions(point.macs) for point in mine))
        for title in branch_titles(mine):
            table.add_row(f"  {title}", *(_millions(point.branch(title)) for point in mine), style="dim")
    return table


def _exact(count: int | None) -> str:
    return "—" if count is None else f"{count:,}"


def _millions(macs: int | None) -> str:
    return "—" if macs is None else f"{macs / 1e6:,.1f}"
