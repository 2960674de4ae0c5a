"""`attnbench check`: the contract, put to one mechanism or to a file of them."""

from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import Dim, Heads, Plugins, Sizes, split


def check(
    subject: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A mechanism, or a Python file with mechanisms.")
    ],
    sizes: Sizes = None,
    dim: Dim = 48,
    heads: Heads = 6,
    plugins: Plugins = None,
) -> None:
    """Check that a mechanism keeps the contract, at plain and at odd sizes; say what fails, and why."""
    from attnbench.cli.console import console
    from attnbench.contract import SIZES, examine
    from attnbench.mechanism import Geometry
    from attnbench.registry import discover
    from attnbench.report.notes import contract_notes
    from attnbench.report.table import contract_table
    from attnbench.sweep import read_size

    maps = [read_size(size) for size in split(sizes)] or SIZES
    geometries = [Geometry(dim, heads, height, width) for height, width in maps]
    file = Path(subject) if subject.endswith(".py") or Path(subject).is_dir() else None
    registry = discover([*(plugins or ()), *([file] if file else ())])
    out = console()
    broken = False
    for text in registry.of(file) if file else [subject]:
        findings = list(examine(registry.choose(text), geometries))
        broken |= any(finding.passed is False for finding in findings)
        out.print(f"[bold]{text}[/], dim {dim}, {heads} heads")
        out.print(contract_table(findings))
        for note in contract_notes(findings):
            out.print(f"· {note}", markup=False)
    out.print("The contract is broken." if broken else "The contract is kept.")
    raise typer.Exit(1 if broken else 0)
