"""How commands explain themselves: options in groups, each with its default, and examples to copy."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import typer
from rich.markup import escape
from typer.models import ArgumentInfo, OptionInfo

from attnbench.cli.given import sensible

WHAT = "What"
HOW = "How it runs"
EFFORT = "How much"
SHOWN = "How it is shown"
WHERE = "Where"

COSTS = "What layers cost, without measuring"
MEASURING = "Measuring on this machine"
RESULTS = "What runs say"
OWN = "Layers of your own"

Examples = Mapping[str, str]
"""A command line by what it is for; neither is longer than the 78 letters that a narrow terminal has."""


def argument(metavar: str, *, about: str, default: str | None = None, **more: Any) -> ArgumentInfo:
    """An argument; `default` says in words what None stands for, and `more` is what typer takes."""
    made: ArgumentInfo = typer.Argument(
        metavar=metavar,
        help=_with_default(about, default),
        show_default=default is None,
        **{"callback": sensible} | more,
    )
    return made


def option(
    *names: str, metavar: str, about: str, panel: str, default: str | None = None, **more: Any
) -> OptionInfo:
    """An option with a value, in its group; `default` and `more` as for an argument."""
    made: OptionInfo = typer.Option(
        *names,
        metavar=metavar,
        help=_with_default(about, default),
        show_default=default is None,
        rich_help_panel=panel,
        **{"callback": sensible} | more,
    )
    return made


def flag(*names: str, about: str, panel: str, **more: Any) -> OptionInfo:
    """An option that is there or not, in its group; it needs no column for its type."""
    return option(*names, metavar="", about=about, panel=panel, **more)


def add(app: typer.Typer, name: str, command: Callable[..., None], panel: str, examples: Examples) -> None:
    """Make a function a command, whose docstring is its help, and end that with examples."""
    text = inspect.getdoc(command) or ""
    app.command(name, help=flowing(text), epilog=worked(examples), rich_help_panel=panel)(command)


def flowing(text: str) -> str:
    """The text with a line a paragraph, for a terminal of any width to break."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def worked(examples: Examples) -> str:
    """Examples as they end a help: what each is for as the shell's comment, and the line to copy."""
    lines = [f"[dim]# {escape(purpose)}[/]\n{escape(line)}" for purpose, line in examples.items()]
    return "\n\n".join(["[bold]Examples[/]", *lines])


def _with_default(about: str, default: str | None) -> str:
    return about if default is None else f"{about} [dim]\\[default: {default}][/]"
