"""`attnbench flops`: how FLOPs grow with resolution, from closed forms."""

from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import Dim, Form, Format, Heads, Mechanisms, PaperWidth, Plugins, Svg, split

SIZES = "14..112/14"


def flops(
    mechanisms: Mechanisms = None,
    sizes: Annotated[
        list[str] | None,
        typer.Option(
            "--res",
            metavar="SIZE",
            help="Maps of tokens, 14 or 14x28 or 7..56/7; commas or repeated.",
            show_default=SIZES,
        ),
    ] = None,
    dim: Dim = 768,
    heads: Heads = 12,
    plugins: Plugins = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where the figure and its numbers go.")
    ] = Path("results/flops"),
    width: PaperWidth = None,
    svg: Svg = False,
    form: Form = Format.table,
) -> None:
    """Show and draw FLOPs against resolution, branch by branch, from closed forms: nothing is measured."""
    from attnbench.catalogue import chosen, points
    from attnbench.cli.console import console
    from attnbench.mechanism import Geometry
    from attnbench.registry import discover
    from attnbench.report.costs import flops_tables
    from attnbench.report.export import flops_csv, write_flops
    from attnbench.report.figure.flops import save_flops
    from attnbench.report.figure.sheet import Sheet
    from attnbench.report.notes import flops_notes
    from attnbench.sweep import read_size

    registry = discover(plugins or ())
    maps = dict.fromkeys(read_size(size) for size in split(sizes or [SIZES]))
    found = points(chosen(registry, mechanisms), [Geometry(dim, heads, *size) for size in maps])
    files = [write_flops(found, out), *save_flops(found, out, Sheet(width, svg=svg))]
    if form is Format.csv:
        print(flops_csv(found), end="")
        return
    screen = console()
    for table in flops_tables(found, screen.width):
        screen.print(table)
    for note in [*flops_notes(found), *registry.problems]:
        screen.print(f"· {note}", markup=False)
    for file in files:
        screen.print(f"written: {file}", markup=False)
