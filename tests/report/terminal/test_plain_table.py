"""Tables without colours are laid out as rich does those with colours."""

import re

import pytest
from rich.console import Console

from attnbench.report.terminal import grid as layout
from attnbench.report.terminal.grid import Grid, GridColumn

COLUMNS = (
    GridColumn("Mechanism", ["MSA", "HiLo with α", "注意"], wraps=True),
    GridColumn("Memory (MiB)", ["160.0\n[150, 170]", "1,280.0", "—"], drop_order=1),
    GridColumn("kept", ["✓", "✗", ""], justify="center"),
    GridColumn("verdict", ["faster", "slower", ""], colours={"faster": "green"}),
    GridColumn("CPU img/s [95 %]", ["1,234 [1,233, 1,235]", "3", "0.25"], style="bold"),
)


def drawn(grid: Grid, width: int, *, coloured: bool) -> str:
    console = Console(width=width, force_terminal=coloured, color_system="truecolor" if coloured else None)
    with console.capture() as capture:
        console.print(grid)
    return re.sub(r"\x1b\[[\d;]*m", "", capture.get())


@pytest.mark.parametrize("width", [20, 34, 48, 60, 66, 72, 80, 100, 160])
@pytest.mark.parametrize(
    "grid",
    [
        Grid(COLUMNS),
        Grid(COLUMNS, "Abacus, two cores and a title that is longer than the table " * 3, "a caption"),
        Grid(COLUMNS, "Abacus", title_justify="left", continued=True),
        Grid(COLUMNS, total=True, faint={1}),
        Grid(COLUMNS[:2], ruled=False),
        Grid([GridColumn("", ["no", "heading"]), GridColumn("", ["at", "all"])]),
        Grid([GridColumn("Mechanism", ["of several words"], wraps=True), GridColumn("×", [" 1 "])]),
        Grid([GridColumn("Mechanism", ["a\ttab"], wraps=True)]),
        Grid([GridColumn("Mechanism", []), GridColumn("×", [])]),
    ],
    ids=["bare", "titled", "continued", "total", "unruled", "headless", "spaced", "tab", "empty"],
)
def test_a_table_reads_the_same_with_colours_and_without(grid: Grid, width: int):
    assert drawn(grid, width, coloured=False) == drawn(grid, width, coloured=True)


def test_where_nothing_is_coloured_rich_lays_out_no_cell(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layout, "Table", None)
    assert "┃ Mechanism" in drawn(Grid(COLUMNS), 160, coloured=False)
