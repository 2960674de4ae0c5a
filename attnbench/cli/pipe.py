"""Standard output that may fail: `attnbench report | head -1` ends as quietly as other tools do."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

READER_GONE = 141  # what a shell reports of a tool that SIGPIPE has ended
UNWRITTEN = 2
STUMBLES = ("strict", "surrogateescape")  # ways to encode that fail for a character that a terminal has not
REMEDY = "what was printed is not whole. Print to another place."


class _Pipe(io.FileIO):
    """A file that ends the command where it cannot be written: without a word when nobody reads it."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())  # for what is yet to be flushed
            if isinstance(error, BrokenPipeError):
                raise SystemExit(READER_GONE) from None
            print(f"Error: Standard output cannot be written: {error.strerror}; {REMEDY}", file=sys.stderr)
            raise SystemExit(UNWRITTEN) from None


@contextmanager
def quiet_output() -> Iterator[None]:
    """End the command without a word and with status 141 where the reader of standard output goes.

    typer and rich would each say 1, which is the status of a broken contract, and Python would complain
    about what is left in its buffer. Any other reason is one line on standard error, and status 2. What the
    terminal's encoding has not is a question mark.
    """
    plain = sys.__stdout__
    if plain is not None and plain is sys.stdout:
        binary = io.BufferedWriter(_Pipe(plain.fileno(), "w", closefd=False))
        errors = "replace" if plain.errors in STUMBLES else plain.errors
        sys.stdout = io.TextIOWrapper(binary, plain.encoding, errors, line_buffering=plain.line_buffering)
    try:
        yield
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()
