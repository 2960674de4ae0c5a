"""Texts and numbers as LaTeX has them: in ASCII, so that pdflatex sets them with its own fonts."""

import unicodedata
from decimal import Decimal

from attnbench.report.digits import Shown
from attnbench.words import UNSEEN, visible

GREEK = {
    **{letter: unicodedata.name(letter).rpartition(" ")[2].lower() for letter in "αβγδεζηθικμνξπρστυφχψω"},
    **{letter: unicodedata.name(letter).rpartition(" ")[2].capitalize() for letter in "ΓΔΘΞΠΣΥΦΨΩ"},
    "λ": "lambda",  # whose Unicode name has no b
    "Λ": "Lambda",
}
SIGNS = {
    "×": "times", "±": "pm", "≥": "geq", "≤": "leq", "≠": "neq", "≈": "approx", "·": "cdot",
    "→": "rightarrow", "∞": "infty", "√": "surd", "∑": "sum", "∈": "in",
}  # fmt: skip
COMMANDS = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{letter: f"$\\{name}$" for letter, name in (GREEK | SIGNS).items()},
    "−": "$-$",
    "°": "$^\\circ$",
    "\\": "\\textbackslash{}",
    "~": "$\\sim$",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "[": "{[}",  # a row that begins with it, or with a star, would be an argument of the line before
    "*": "{*}",
    '"': "''",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "«": "``",
    "»": "''",
    "ß": "\\ss{}",
    "ø": "\\o{}",
    "Ø": "\\O{}",
    "ł": "\\l{}",
    "Ł": "\\L{}",
    "æ": "\\ae{}",
    UNSEEN: "?",
}
ACCENTS = {"\u0300": "\\`", "\u0301": "\\'", "\u0302": "\\^", "\u0303": "\\~", "\u0308": '\\"',
           "\u030a": "\\r", "\u030c": "\\v", "\u0327": "\\c"}  # fmt: skip
SCRIPTS = {"<super>": "\\textsuperscript{{{}}}", "<sub>": "\\textsubscript{{{}}}"}


def escape(text: str) -> str:
    """A text of one line; what pdflatex has no command for stays as it is."""
    composed = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(map(_command, visible(composed)))


def foreign(text: str) -> str:
    """The characters of a text that pdflatex cannot set."""
    return "".join(sorted({character for character in text if not character.isascii()}))


def number(digits: str) -> str:
    """Digits for mathematics, where LaTeX puts a space after a comma unless it is told otherwise."""
    return digits.replace(",", "{,}")


def reach(found: Shown) -> str:
    """How far it goes to either side of a value: `$^{+3}_{-2}$` or `$\\pm3$`; nothing without an interval."""
    if found.deviation is not None:
        return f"$\\pm{number(found.deviation)}$"
    if found.interval is None:
        return ""
    value, low, high = (Decimal(text.replace(",", "")) for text in (found.value, *found.interval))
    return f"$^{{+{number(f'{high - value:,}')}}}_{{-{number(f'{value - low:,}')}}}$"


def _command(character: str) -> str:
    if character in COMMANDS or character.isascii():
        return COMMANDS.get(character, character)
    kind, *parts = unicodedata.decomposition(character).split() or [""]
    pieces = [chr(int(part, 16)) for part in parts]
    if not pieces:
        return character
    if not kind.startswith("<"):
        accent = ACCENTS.get(pieces[0])
        return f"{accent}{{{_command(chr(int(kind, 16)))}}}" if accent else character
    return SCRIPTS.get(kind, "{}").format("".join(map(_command, pieces)))
