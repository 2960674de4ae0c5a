"""The mistakes that a user can mend. Everything else is a bug and keeps its traceback."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class AttnbenchError(Exception):
    """A message for the user: what is wrong with which value, why, and what to do about it."""


class UnsupportedGeometry(AttnbenchError):  # noqa: N818 - named for what a mechanism's author says
    """A mechanism that cannot be built for this map says so with its reason; the case becomes a row."""


class InvalidSetting(AttnbenchError):  # noqa: N818
    """A setting has a value that the mechanism has no meaning for."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say which file could not be read, and why."""
    try:
        yield
    except OSError as error:
        raise AttnbenchError(
            f"{path} cannot be read: {error.strerror}. Make it readable, or name another one."
        ) from error


@contextmanager
def writing(path: Path, *, goes_on: bool = False) -> Iterator[None]:
    """Say which file could not be written, why, and what to do; one of a run `goes_on`, with what it has."""
    try:
        yield
    except OSError as error:
        raise AttnbenchError(
            f"{path} cannot be written: {error.strerror}. {_remedy(error, goes_on)}"
        ) from error


def _remedy(error: OSError, goes_on: bool) -> str:
    if error.errno not in FULL:
        return "Name another place."
    if goes_on:
        return "What is measured is kept: make room, and run the same command again."
    return "Make room, or name another place."
