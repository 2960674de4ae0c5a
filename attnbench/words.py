"""Numbers and names as prose has them."""

NOTHING = "—"  # where there is no number


def plural(number: int, noun: str) -> str:
    """A count of things: `1 round`, `2 rounds`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def readable(name: str) -> str:
    """A name of several words: `out_of_memory` as out of memory."""
    return name.replace("_", " ")
