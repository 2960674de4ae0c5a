"""Numbers and names as prose has them."""

import re

NOTHING = "—"  # where there is no number
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
UNSEEN = "\ufffd"


def plural(number: int, noun: str) -> str:
    """A count of things: `1 round`, `2 rounds`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def duration(seconds: float) -> str:
    """`90 s` or `2.5 min`."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def readable(name: str) -> str:
    """A name of several words: `out_of_memory` as out of memory."""
    return name.replace("_", " ")


def visible(text: str) -> str:
    """A text with a � for each character that nobody sees and a terminal or a typesetter obeys.

    Those are control characters other than tabs and line breaks, overrides of the direction of writing, and
    halves of characters.
    """
    return OBEYED.sub(UNSEEN, text)
