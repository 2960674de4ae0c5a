"""What holds a folder where its file system has no locks: a file with its owner, which is kept new.

One of several that ask makes the file, on NFS too. How old it is the file system's own clock says, whatever
the clocks of its machines do. A process that was killed renews nothing, and its lease is taken over; one that
stood still for as long, and goes on, is told in the end.
"""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attnbench.errors import AttnbenchError

LIFE_S = 60.0  # of a lease that nobody renews
RENEWED_S = 10.0  # after which its owner renews it
OWNER_BYTES = 8


@contextmanager
def leased(path: Path) -> Iterator[None]:
    """Have the lease in this file, and renew it meanwhile; where another has it, a `BlockingIOError`."""
    owner = secrets.token_hex(OWNER_BYTES)
    take(path, owner)
    given_back = threading.Event()
    keeper = threading.Thread(target=_renew, args=(path, owner, given_back), daemon=True)
    keeper.start()
    try:
        yield
        _require_mine(path, owner)
    finally:
        given_back.set()
        keeper.join()
        if _owner(path) == owner:
            path.unlink(missing_ok=True)


def take(path: Path, owner: str) -> None:
    """Make the file of a lease, or take over one that nobody renews."""
    _drop_expired(path)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(owner)
    except FileExistsError:
        raise BlockingIOError(f"{path} is another's") from None


def age_s(path: Path) -> float:
    """Seconds since a lease was renewed, by the clock of its file system."""
    now = _beside(path)
    now.touch()
    try:
        return now.stat().st_mtime - path.stat().st_mtime
    finally:
        now.unlink()


def _drop_expired(path: Path) -> None:
    """Take away a lease that is too old.

    Two may find it so: what the second takes away may be what the first has made since, and is put back.
    """
    with suppress(FileNotFoundError):
        owner = _owner(path)
        if age_s(path) <= LIFE_S:
            return
        aside = _beside(path)
        path.rename(aside)
        if _owner(aside) != owner:
            with suppress(OSError):  # a third has made one: its first owner is told at the end
                path.hardlink_to(aside)
        aside.unlink()


def _require_mine(path: Path, owner: str) -> None:
    """Raise `AttnbenchError` where another has the lease meanwhile."""
    if _owner(path) not in (owner, ""):
        raise AttnbenchError(
            f"Another process has taken over {path.parent} because this one stood still for more than "
            f"{LIFE_S:g} s. All rows are there, but both may have measured at once: run the same command "
            "with --fresh for times that nothing disturbed."
        )


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{secrets.token_hex(OWNER_BYTES)}")


def _renew(path: Path, owner: str, given_back: threading.Event) -> None:
    while not given_back.wait(RENEWED_S):
        with suppress(OSError):
            if _owner(path) == owner:
                path.touch()


def _owner(path: Path) -> str:
    """Who has a lease; nobody where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
