"""What a shell offers after TAB: names, and what may follow them.

Nothing here imports torch, which would take seconds: built-in mechanisms are read from the text of their
files, and those of plugins are not offered.
"""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import typer

from attnbench.cases.declared import HOST, Declared, backbones, builtin
from attnbench.cases.places import NAMES, SET
from attnbench.paper import in_table_order

QUESTION = "_ATTNBENCH_COMPLETE"  # the variable in which a shell says what it wants
FROM_BASH = "complete_bash"
BREAKS = ":="  # where bash cuts a word into pieces, which these become as well


def among(*names: str) -> Callable[[str], list[str]]:
    """Complete the last item of a list with commas by the names that are not in it yet."""

    def complete(incomplete: str) -> list[str]:
        before, comma, _ = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names if name not in before.split(",")]

    return complete


def mechanisms(incomplete: str) -> list[tuple[str, str]]:
    """Complete a mechanism: its name, then the settings that are not in it yet, then their defaults.

    Of a model the backbone, and after a slash what fills it.
    """
    known = builtin()
    name, colon, assignments = incomplete.partition(":")
    if colon:
        return _settings(f"{name}:", assignments, known[name]) if name in known else []
    if incomplete.startswith(SET):
        return [(f"{SET}{name}", "a set") for name in NAMES if name.startswith(incomplete.removeprefix(SET))]
    host, slash, filling = incomplete.partition(HOST)
    if slash and host in backbones():
        fillings = [name for name in in_table_order(known) if name.startswith(filling)]
        return [(f"{host}{HOST}{name}", f"{host} of {known[name].title}") for name in fillings]
    hosts = [(f"{name}", "a model") for name in backbones() if name.startswith(incomplete)]
    names = [name for name in in_table_order(known) if name.startswith(incomplete)]
    keys = known[names[0]].settings if len(names) == 1 else ()
    offers = [(name, known[name].title) for name in names]
    return [*offers, *((f"{names[0]}:{key}=", "a setting") for key in keys), *hosts]


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the folder of a run; other paths are left to the shell."""
    from attnbench.records.record_file import RECORDS

    results = Path(context.params.get("results") or "results")
    folders = (str(path.parent) for path in results.glob(f"*/{RECORDS}"))
    return sorted(folder for folder in folders if folder.startswith(incomplete))


def columns(incomplete: str) -> list[str]:
    """Complete a column of tables."""
    from attnbench.report.table_style import asked_names

    offers = among(*asked_names())(incomplete)
    return [offer for offer in offers if offer.startswith(incomplete)]


@contextmanager
def whole_words() -> Iterator[None]:
    """Let bash, which cuts `hilo:alpha` at its breaks, ask about all of it and be told what follows them."""
    if os.environ.get(QUESTION) != FROM_BASH:
        yield
        return
    pieces, at = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
    words, index = joined(pieces, at)
    os.environ |= {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(index)}
    word = words[index] if index < len(words) else ""
    there = word[: 1 + max(map(word.rfind, BREAKS))]
    answer = io.StringIO()
    try:
        with redirect_stdout(answer):
            yield
    finally:
        for line in answer.getvalue().splitlines():
            print(line.removeprefix(there))


def joined(pieces: Sequence[str], at: int) -> tuple[list[str], int]:
    """Words from the pieces of bash, and in which of them the piece of an index is."""
    words: list[str] = []
    index_of_word = None
    after_break = False
    for index, piece in enumerate(pieces):
        is_break = piece != "" and set(piece) <= set(BREAKS)
        if words and piece and (is_break or after_break):
            words[-1] += piece
        else:
            words.append(piece)
        after_break = is_break
        if index == at:
            index_of_word = len(words) - 1
    return words, at - len(pieces) + len(words) if index_of_word is None else index_of_word


def _settings(before: str, assignments: str, declared: Declared) -> list[tuple[str, str]]:
    """The key of a next setting, alone and with its default; or of the setting that has been begun."""
    done, comma, last = assignments.rpartition(",")
    keys = {item.partition("=")[0] for item in done.split(",")}
    offers = []
    for key, default in declared.settings.items():
        if key not in keys:
            alone = [] if "=" in last else [(f"{before}{done}{comma}{key}=", "a setting")]
            offers += [*alone, (f"{before}{done}{comma}{key}={default}", "its default")]
    return offers
