"""Options that several commands share, named, so that a signature reads as a list of settings."""

from pathlib import Path
from typing import Annotated

import typer

Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", metavar="FILE", help="A Python file with mechanisms of your own; may be repeated."
    ),
]
Dim = Annotated[int, typer.Option("--dim", help="Channels of a token.")]
Heads = Annotated[int, typer.Option("--heads", help="Attention heads; they must divide --dim.")]
Sizes = Annotated[
    list[str] | None,
    typer.Option(
        "--res", metavar="SIZE", help="Maps of tokens, 14 or 14x28; commas or repeated. [default: 14]"
    ),
]
Results = Annotated[Path, typer.Option("--results", help="The folder that holds the runs.")]


def split(values: list[str] | None) -> list[str]:
    """The items of an option that may be repeated and may hold commas, each once."""
    return list(dict.fromkeys(item for value in values or () for item in value.split(",") if item))
