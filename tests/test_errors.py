"""What is said of a file that cannot be written."""

import errno
import os
from pathlib import Path

import pytest

from attnbench.errors import AttnbenchError, writing

KEPT = "What is measured is kept: make room, and run the same command again."


@pytest.mark.parametrize(
    ("number", "goes_on", "says"),
    [
        (errno.ENOSPC, True, f"a cannot be written: No space left on device. {KEPT}"),
        (errno.EDQUOT, True, f"a cannot be written: Disk quota exceeded. {KEPT}"),
        (
            errno.ENOSPC,
            False,
            "a cannot be written: No space left on device. Make room, or name another place.",
        ),
        (errno.EACCES, True, "a cannot be written: Permission denied. Name another place."),
        (errno.EISDIR, False, "a cannot be written: Is a directory. Name another place."),
    ],
)
def test_what_to_do_follows_from_the_reason_and_from_what_was_written(number: int, goes_on: bool, says: str):
    with pytest.raises(AttnbenchError) as caught, writing(Path("a"), goes_on=goes_on):
        raise OSError(number, os.strerror(number))
    assert str(caught.value) == says
