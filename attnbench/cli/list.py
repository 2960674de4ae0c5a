"""`attnbench list`: the registry with what each mechanism costs."""

from enum import StrEnum
from typing import Annotated

import typer

from attnbench.cli.options import Dim, Heads, Plugins


class Format(StrEnum):
    """How the registry is printed."""

    table = "table"
    csv = "csv"


def list_mechanisms(
    size: Annotated[
        str, typer.Option("--res", metavar="SIZE", help="The map of tokens, 14 or 14x28.")
    ] = "14",
    dim: Dim = 768,
    heads: Heads = 12,
    plugins: Plugins = None,
    form: Annotated[
        Format, typer.Option("--format", help="A table, or CSV with exact integers.")
    ] = Format.table,
) -> None:
    """Show all mechanisms with their parameters and FLOPs, the published ones beside them."""
    from attnbench.catalogue import entries
    from attnbench.cli.console import console
    from attnbench.mechanism import Geometry
    from attnbench.registry import discover
    from attnbench.report.export import registry_csv
    from attnbench.report.notes import registry_notes
    from attnbench.report.table import registry_table
    from attnbench.sweep import read_size

    registry = discover(plugins or ())
    found = entries(registry, Geometry(dim, heads, *read_size(size)))
    if form is Format.csv:
        print(registry_csv(found), end="")
        return
    out = console()
    out.print(registry_table(found))
    for note in [*registry_notes(found), *registry.problems]:
        out.print(f"· {note}")
