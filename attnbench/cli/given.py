"""What a command line says before it is understood: words that are empty, numbers that nothing has."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import typer

from attnbench.errors import AttnbenchError

# A digit behind a letter is part of a name.
NUMBER = re.compile(r"(?<![A-Za-z_])\d+(?:\.\d*)?(?:e[+-]?(?P<exponent>\d+))?", re.IGNORECASE)
NOT_FINITE = re.compile(r"=(?:[^=]*,)?\s*[+-]?(?:nan|inf|infinity)\s*(?:,|$)", re.IGNORECASE)
BEYOND = 10**18  # what no layer, machine or number of torch's has
MOST_LETTERS = 100  # of a number
MOST_EXPONENT_DIGITS = 3
UNKNOWN = re.compile(r"No such (?:command '|option: )([\w-]+)|Invalid value for '--format': '(\w+)'")
SIXTEEN_BITS = "--autocast {0} runs float32 weights under torch.autocast, and --dtype {0} casts them"
MEANT = {
    "plot": "`attnbench compare --plot` draws a run",
    "draw": "`attnbench compare --plot` draws a run",
    "bench": "`attnbench run` measures",
    "benchmark": "`attnbench run` measures",
    "measure": "`attnbench run` measures",
    "table": "`attnbench report` writes tables",
    "export": "`attnbench report` writes tables",
    "--amp": SIXTEEN_BITS.format("bfloat16"),
    "--mixed-precision": SIXTEEN_BITS.format("bfloat16"),
    "--fp16": SIXTEEN_BITS.format("float16"),
    "--bf16": SIXTEEN_BITS.format("bfloat16"),
    "--size": "maps are chosen with --res",
    "--resolution": "maps are chosen with --res",
    "--train": "what calls do is chosen with --mode, such as --mode training",
    "tex": "`attnbench report --format latex` writes it",
    "latex": "`attnbench report --format latex` writes it",
    "md": "`attnbench report --format markdown` writes it",
    "markdown": "`attnbench report --format markdown` writes it",
    "html": "`attnbench report --format html` writes it",
}
"""What those mean who use a word that there is not, where no word that there is looks like it."""
MANY_LETTERS, SHOWN_LETTERS = 400, 80  # of a word: from which an error shows its beginning, and what of it


def require_words(words: Sequence[str]) -> None:
    """Raise `AttnbenchError` where a word is empty, which would say as much as the word that is not there."""
    for before, word in pairwise(["", *words]):
        option, equals, value = word.partition("=")
        if not word.strip():
            raise _empty(f"What follows {before}" if before else "The first word")
        if option.startswith("--") and equals and not value.strip():
            raise _empty(option)


def sensible(param: typer.CallbackParam, value: Any) -> Any:
    """The value of an option or argument, of which `require_sensible` was asked."""
    name = next((name for name in param.opts if name.startswith("--")), param.metavar or "")
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str | float | int):
            require_sensible(name, part)
    return value


def require_sensible(name: str, part: str | float) -> None:
    """Raise `AttnbenchError` for a text that names nothing, and for numbers that nothing has."""
    text = str(part)
    if not text.strip(" ,"):
        mistake = "it must name something, or be left out"
    elif NOT_FINITE.search(text) or (isinstance(part, float) and not math.isfinite(part)):
        mistake = "its numbers must be finite"
    elif any(map(_is_beyond, NUMBER.finditer(text))):
        mistake = f"its numbers must be below 10^18, and of at most {MOST_LETTERS} letters"
    else:
        return
    raise AttnbenchError(f"{name} is {text!r}; {mistake}.")


def with_what_is_meant(message: str) -> str:
    """What the parser says of a word that it does not know, and the word that does what is meant."""
    unknown = UNKNOWN.match(message)
    word = (unknown[1] or unknown[2]) if unknown else ""
    if word not in MEANT:
        return message
    said = message.partition(" (Possible")[0].partition(" Did you")[0].rstrip(".")
    return f"{said}; {MEANT[word]}."


def shortened(message: str) -> str:
    """A message of one line, of whose words none is longer than a reader bears."""
    return " ".join(
        word if len(word) < MANY_LETTERS else f"{word[:SHOWN_LETTERS]}…{word[-2:]}"
        for word in message.split()
    )


def _empty(what: str) -> AttnbenchError:
    return AttnbenchError(f"{what} is empty; give it a value, or leave it out.")


def _is_beyond(number: re.Match[str]) -> bool:
    is_long = len(number[0]) > MOST_LETTERS or len(number["exponent"] or "") > MOST_EXPONENT_DIGITS
    return is_long or float(number[0]) >= BEYOND
