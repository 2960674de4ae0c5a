"""Where commands print: the answer on standard output, and what to know beside it out of the way."""

import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment

from attnbench.cli.options import Format
from attnbench.words import visible

WIDTH_WITHOUT_TERMINAL = 160


class SafeConsole(Console):
    """A console whose terminal obeys rich alone, and nothing that is in what it prints."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is printed, in which what a terminal would obey is seen."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def console(*, stderr: bool = False) -> Console:
    """The console of a standard stream: as wide as its terminal, or wide enough for a table without one.

    `COLUMNS` sets the width of either. Colours come as rich gives them: on a terminal that has them, unless
    `NO_COLOR` is set, and everywhere with `FORCE_COLOR`. Nothing moves but on a terminal.
    """
    out = SafeConsole(highlight=False, emoji=False, stderr=stderr)
    if out.file.isatty():
        return out
    width = None if os.environ.get("COLUMNS") else WIDTH_WITHOUT_TERMINAL
    return SafeConsole(highlight=False, emoji=False, stderr=stderr, width=width, force_interactive=False)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command prints: tables with notes below, or data alone with the notes on standard error."""

    form: Format
    out: Console
    aside: Console

    def note(self, lines: Iterable[str]) -> None:
        """What a reader must know beside the answer."""
        for line in lines:
            self.aside.print(f"· {line}", markup=False)

    def say(self, sentence: str) -> None:
        """What there is to say besides, broken between words where a terminal is narrow."""
        self.aside.print(sentence, markup=False)

    def tell(self, line: str) -> None:
        """What has happened besides, such as a file that was written; on one line, however long."""
        self.aside.print(line, markup=False, soft_wrap=True)

    def wrote(self, files: Iterable[Path], *, how: str = "written") -> None:
        """Which files there are now."""
        for file in files:
            self.tell(f"{how}: {file}")

    def waiting(self, what: str) -> AbstractContextManager[object]:
        """Say what is going on while it does, on a terminal."""
        return self.aside.status(escape(what)) if self.aside.is_interactive else nullcontext()

    def data(self, text: str) -> None:
        """The answer of a form that is for a program, and nothing else."""
        show([text])


def show(pieces: Iterable[str]) -> None:
    """Print a text for programs as it is, piece by piece; a terminal sees what it would obey."""
    seen = sys.stdout.isatty()
    for piece in pieces:
        print(visible(piece) if seen else piece, end="")


def output(form: Format = Format.table) -> Output:
    """The page of a command that prints in this form."""
    out = console()
    return Output(form, out, out if form is Format.table else console(stderr=True))
