"""Files of one JSON object a line: what is none of them is told by name, and how a last line is ended."""

import codecs
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from attnbench.errors import AttnbenchError, reading, writing

Form = tuple[Callable[[bytes], bool], str, str]

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"{\0", b"\0{")
FORMS: tuple[Form, ...] = (
    (lambda content: content.startswith(b"\x1f\x8b"), "is compressed by gzip", "Unpack it with gunzip"),
    (lambda content: content.startswith(UTF_16), "is text in UTF-16", "Save it as UTF-8"),
    (
        lambda content: b"\r" in content and b"\n" not in content,
        "has carriage returns alone between its lines",
        "Save it with line feeds",
    ),
    (
        lambda content: not content.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"),
        "does not begin with a JSON object",
        "Mend its beginning",
    ),
)
"""What a file may be instead: whether it is, what is said of it then, and what is to be done."""


def split(content: bytes, path: Path) -> tuple[list[bytes], bytes]:
    """The lines of a file of this content, and what stands behind them and was cut off.

    Content of another form is an `AttnbenchError`.
    """
    require_lines(content, path)
    *whole, rest = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    return ([*whole, rest], b"") if is_whole(rest) else (whole, rest.strip())


def numbered(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of an open file with their numbers, one at a time; blank ones are left out.

    Content of another form is an `AttnbenchError`.
    """
    beginning: bytes | None = b""
    for number, read in enumerate(file, start=1):
        line = read.removeprefix(codecs.BOM_UTF8) if number == 1 else read
        if beginning is not None:
            require_lines(beginning := beginning + line, path)
        if line.strip():
            beginning = None
            yield number, line


def parse(line: bytes) -> object:
    """The value of a line; a `ValueError` says what it is not."""
    try:
        return json.loads(line.decode())
    except (ValueError, RecursionError):
        raise ValueError("not JSON in UTF-8") from None


def is_whole(line: bytes) -> bool:
    """Whether a line is an object that ends: no part of one does."""
    try:
        return isinstance(parse(line), dict)
    except ValueError:
        return False


def is_like_an_object(line: bytes) -> bool:
    """Whether a line begins and ends as an object does: enough for one that `attnbench` wrote whole."""
    return line.startswith(b"{") and line.rstrip().endswith(b"}")


def mend(path: Path) -> None:
    """End the last line, or cut it off where it was not finished, so that the next one begins on its own.

    A file of another form is left as it is, and an `AttnbenchError`.
    """
    if not path.exists():
        return
    with reading(path):
        content = path.read_bytes()
    require_lines(content, path)
    end = content.rfind(b"\n") + 1
    rest = content[end:]
    with writing(path, goes_on=True):
        if is_whole(rest.removeprefix(codecs.BOM_UTF8)):
            with path.open("ab") as file:
                file.write(b"\n")
        elif rest:
            os.truncate(path, end)


def require_lines(content: bytes, path: Path) -> None:
    """Raise `AttnbenchError` for the content of a file that is of another form, if it has any."""
    for is_other, what, remedy in FORMS:
        if content.strip() and is_other(content):
            raise AttnbenchError(
                f"{path} {what}; it should have a JSON object a line, in UTF-8. {remedy}, or move it "
                "elsewhere; it is left as it is."
            )
