"""The mistakes that a user can mend. Everything else is a bug and keeps its traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AttnbenchError(Exception):
    """A message for the user: what is wrong with which value, why, and what to do about it."""


class UnsupportedGeometry(AttnbenchError):  # noqa: N818 - named for what a mechanism's author says
    """A mechanism that cannot be built for this map says so with its reason; the case becomes a row."""


class InvalidSetting(AttnbenchError):  # noqa: N818
    """A setting has a value that the mechanism has no meaning for."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say which file could not be written, and that nothing is lost, when the disk refuses."""
    try:
        yield
    except OSError as error:
        raise AttnbenchError(
            f"{path} cannot be written: {error.strerror}. What is measured is kept: make room, and run the "
            "same command again."
        ) from error
