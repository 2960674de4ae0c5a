"""`attnbench list`: the registry, or choices of it, with what each costs."""

from typing import Annotated

import typer

from attnbench.cli.options import Dim, Form, Format, Heads, Mechanisms, Plugins


def list_mechanisms(
    mechanisms: Mechanisms = None,
    size: Annotated[
        str, typer.Option("--res", metavar="SIZE", help="The map of tokens, 14 or 14x28.")
    ] = "14",
    dim: Dim = 768,
    heads: Heads = 12,
    plugins: Plugins = None,
    form: Form = Format.table,
) -> None:
    """Show all mechanisms with their parameters and FLOPs, the published ones beside them.

    Mechanisms that are named, a sweep such as hilo:alpha=0..1/0.1 among them, are shown with exact counts.
    """
    from attnbench.catalogue import chosen, entries
    from attnbench.cli.console import console
    from attnbench.mechanism import Geometry
    from attnbench.registry import discover
    from attnbench.report.costs import choices_table
    from attnbench.report.export import registry_csv
    from attnbench.report.notes import registry_notes
    from attnbench.report.table import registry_table
    from attnbench.sweep import read_size

    registry = discover(plugins or ())
    found = entries(chosen(registry, mechanisms), Geometry(dim, heads, *read_size(size)))
    if form is Format.csv:
        print(registry_csv(found), end="")
        return
    out = console()
    out.print(choices_table(found) if mechanisms else registry_table(found))
    for note in [*registry_notes(found), *registry.problems]:
        out.print(f"· {note}")
