"""Tables of costs: choices counted at one size, and closed forms over sizes."""

from collections.abc import Sequence

from attnbench.paper import Printed
from attnbench.paper.models import PublishedModel
from attnbench.records.cost import Entry, Point, branch_titles, choices_of, points_of
from attnbench.report.caption import CONVENTION
from attnbench.report.column import LOWER_BOUND, Line
from attnbench.report.csv_text import cell
from attnbench.report.digits import millions
from attnbench.report.export import registry_lines
from attnbench.report.terminal.grid import Grid, GridColumn
from attnbench.words import NOTHING, readable

MECHANISM = "Mechanism"
PAPER = "paper"
INDENT = "  "
LATEST = 9999  # year; counts of so few digits need no commas


def choices_table(entries: Sequence[Entry]) -> Grid:
    """The chosen settings with exact counts, the published ones where there are any, and their branches."""
    published = [entry.published for entry in entries]
    columns = [
        GridColumn(MECHANISM, [entry.choice.mechanism.title for entry in entries], wraps=True),
        GridColumn("Settings", list(map(settings_of, entries)), wraps=True),
        GridColumn("Published in", list(map(venue_of, entries)), wraps=True, drop_order=1),
        GridColumn("Params", [exact(entry.params) for entry in entries], drop_order=4),
        paper_column([printed(paper, "params_m", 2, " M") for paper in published], drop_order=1),
        GridColumn("FLOPs", [f"{bound(entry)}{exact(entry.macs)}" for entry in entries]),
        paper_column([printed(paper, "flops_m", 1, " M") for paper in published], drop_order=1),
    ]
    for title in branch_titles(entries):
        by_title = [{branch.title: branch for branch in entry.branches} for entry in entries]
        branches = [mine.get(title) for mine in by_title]
        costs = [f"{branch.macs:,}" if branch else "" for branch in branches]
        heads = [f"{branch.heads}" if branch and branch.heads is not None else "" for branch in branches]
        columns.append(GridColumn(f"{title} FLOPs", costs, drop_order=3))
        columns += [GridColumn("heads", heads, drop_order=2)] * any(heads)
    return Grid(
        [column for column in columns if column.heading != PAPER or any(column.cells)], caption=CONVENTION
    )


def asked_table(entries: Sequence[Entry], names: Sequence[str]) -> Grid:
    """The columns of these names as CSV has them, counts with every digit, beside each choice's title."""
    lines = registry_lines(entries, names)
    marks = {"macs": list(map(bound, entries))}
    columns = []
    for name in names:
        before = marks.get(name, [""] * len(lines))
        cells = [f"{mark}{_cell(line[name])}" for mark, line in zip(before, lines, strict=True)]
        columns.append(GridColumn(readable(name), cells, wraps=not _holds_counts(lines, name)))
    titles = [entry.choice.title for entry in entries]
    return Grid([GridColumn(MECHANISM, titles, wraps=True), *columns], caption=CONVENTION, continued=True)


def settings_of(entry: Entry) -> str:
    """All settings of a choice: `alpha=0.9, window=2`."""
    return ", ".join(f"{key}={value}" for key, value in entry.choice.settings.items())


def venue_of(entry: Entry) -> str:
    """Where and when a choice's mechanism was published: `CVPR 2023`."""
    paper = entry.choice.mechanism.paper
    return f"{paper.venue} {paper.year}" if paper else NOTHING


def bound(entry: Entry) -> str:
    """The mark of a count that is a lower bound."""
    return LOWER_BOUND if entry.uncounted and entry.macs is not None else ""


def paper_column(cells: Sequence[str], drop_order: int) -> GridColumn:
    """Published figures, which stand back."""
    return GridColumn(PAPER, cells, drop_order=drop_order, style="dim")


def printed(paper: Printed | None, name: str, decimals: int, unit: str = "") -> str:
    """A number of the paper with its digits; of a model, which it has in whole millions, without."""
    value: float | None = getattr(paper, name, None)
    if value is None:
        return ""
    return f"{value:,.{0 if isinstance(paper, PublishedModel) else decimals}f}{unit}"


def exact(count: int | None) -> str:
    """Every digit of a count."""
    return NOTHING if count is None else f"{count:,}"


def _cell(value: object) -> str:
    """A cell of CSV for a reader: counts with every digit, a year as it is."""
    found = cell(value)
    if found is None:
        return NOTHING
    return f"{found:,}" if isinstance(found, int) and found > LATEST else str(found)


def _holds_counts(lines: Sequence[Line], name: str) -> bool:
    return any(isinstance(line[name], int) for line in lines)


def flops_table(points: Sequence[Point]) -> Grid:
    """FLOPs of choices, and of their branches below them, a column a size."""
    lines = [line for choice in choices_of(points) for line in _lines(points_of(choice, points))]
    titles, costs = [title for title, _ in lines], [macs for _, macs in lines]
    sizes = dict.fromkeys(point.geometry.size for point in points)
    geometry = points[0].geometry
    by_size = zip(sizes, zip(*costs, strict=True), strict=True)
    columns = [GridColumn(size, list(map(millions, macs))) for size, macs in by_size]
    return Grid(
        [GridColumn(MECHANISM, titles, wraps=True), *columns],
        ", ".join(filter(None, ("FLOPs (M)", geometry.layer_words))),
        f"{CONVENTION}; closed forms, nothing is measured",
        continued=True,
        faint=[index for index, title in enumerate(titles) if title.startswith(INDENT)],
    )


def _lines(points: Sequence[Point]) -> list[tuple[str, Sequence[int | None]]]:
    """A choice's title with its cost at each size, and below it those of its branches, which are indented."""
    branches = [
        (f"{INDENT}{title}", [point.branch(title) for point in points]) for title in branch_titles(points)
    ]
    return [(points[0].choice.title, [point.macs for point in points]), *branches]
