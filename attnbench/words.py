"""Numbers as prose has them."""


def many(number: int, noun: str) -> str:
    """A count of things: `1 round`, `2 rounds`."""
    return f"{number} {noun}{'s' * (number != 1)}"
