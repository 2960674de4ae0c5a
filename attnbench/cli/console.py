"""Where commands print: as wide as the terminal, or wide enough for a table when there is none."""

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 160


def console() -> Console:
    """The console of standard output."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)
