"""Numbers and names as prose has them."""

NOTHING = "—"  # where there is no number


def plural(number: int, noun: str) -> str:
    """A count of things: `1 round`, `2 rounds`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def duration(seconds: float) -> str:
    """`90 s` or `2.5 min`."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def readable(name: str) -> str:
    """A name of several words: `out_of_memory` as out of memory."""
    return name.replace("_", " ")
