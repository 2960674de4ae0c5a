"""The folder of a run while it is measured: one process holds it, and what is there already counts.

`records.jsonl` has the finished rows. Beside it lies a shard for each block that is not finished; the block's
last record is written before its shard goes, so that a kill between two steps loses nothing. What is nobody's
in the end is in a temporary folder, which its process holds as well.
"""

import errno
import fcntl
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from attnbench.errors import AttnbenchError, writing
from attnbench.records import lines, record_file
from attnbench.records.lease import leased
from attnbench.records.record import Record
from attnbench.records.record_file import RECORDS

LOCK = ".lock"
LEASE = ".lease"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # what a file system without them says
HOLDER = ".holder.json"
SALT = ".salt"
SALT_BYTES = 16
PLAN = "plan.json"
TEMPORARY = "attnbench-"  # how the names of temporary folders begin
RETRY_S = 0.1  # until a folder that is in use is asked for again
YOUNG_S = 60.0  # a temporary folder that is just being made is not held yet


class InUse(AttnbenchError):  # noqa: N818 - named for what a folder is
    """Another process holds a folder."""


@contextmanager
def held(folder: Path, *, patience_s: float = 0.0) -> Iterator[None]:
    """Make the folder of a run, if there is none, and keep other processes out of it.

    Where it is in use for longer than `patience_s`, that is `InUse`; where it cannot be written or locked,
    and where it is removed meanwhile, an `AttnbenchError`.
    """
    holder = {"process": os.getpid(), "since": datetime.now().isoformat(sep=" ", timespec="seconds")}
    with _locked(folder, patience_s):
        try:
            with writing(folder, goes_on=True):
                (folder / HOLDER).write_text(json.dumps(holder), encoding="utf-8")
                (folder / RECORDS).touch()
            lines.mend(folder / RECORDS)
            yield
            (folder / HOLDER).unlink(missing_ok=True)
        except (OSError, AttnbenchError) as error:
            if folder.is_dir():
                raise
            raise AttnbenchError(
                f"{folder} was removed while the run went on, and what was measured with it; the same "
                "command begins anew."
            ) from error


@contextmanager
def temporary() -> Iterator[Path]:
    """A temporary folder, for as long as it is needed; those that killed processes have left go first."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    with (
        tempfile.TemporaryDirectory(prefix=TEMPORARY, ignore_cleanup_errors=True) as name,
        (Path(name) / LOCK).open("w") as file,
    ):
        with suppress(OSError):  # where there are no locks, nobody can take it for abandoned either
            _lock(file.fileno())
        yield Path(name)


def salt(folder: Path) -> str:
    """What makes the fingerprints of nodes this run's own: random, and made by whoever asks first."""
    path = folder / SALT
    with writing(path, goes_on=True):
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(secrets.token_hex(SALT_BYTES))
        except FileExistsError:
            pass
        return path.read_text(encoding="utf-8")


def complete_records(folder: Path) -> dict[str, Record]:
    """The latest record of each case that needs nothing more, by its key."""
    return {row.key: row for row in record_file.read(folder).records if row.complete}


def shard_of(folder: Path, block: str) -> Path:
    """Where the facts of an unfinished block are."""
    return folder / f"shard-{block}.jsonl"


def shards(folder: Path) -> list[Path]:
    """The shards of all unfinished blocks."""
    return sorted(folder.glob("shard-*.jsonl"))


def start_over(folder: Path) -> Path | None:
    """Put the rows of an earlier run aside, in the file that is returned, and drop unfinished blocks."""
    for shard in shards(folder):
        shard.unlink()
    path = folder / RECORDS
    if not path.stat().st_size:
        return None
    aside = path.with_name(f"records-until-{datetime.now():%Y-%m-%d_%H-%M-%S}.jsonl")
    path.rename(aside)
    path.touch()
    return aside


def save_plan(folder: Path, command: Sequence[str]) -> None:
    """Note which command this run belongs to, so that the same command finds it again."""
    new = folder / f"{PLAN}.new"
    with writing(new, goes_on=True):
        new.write_text(json.dumps({"command": list(command)}), encoding="utf-8")
        new.replace(folder / PLAN)


def unfinished(results: Path, command: Sequence[str]) -> Path | None:
    """The newest run in `results` that the same command began and did not finish."""
    plans = sorted(results.glob(f"*/{PLAN}"), key=lambda plan: plan.stat().st_mtime, reverse=True)
    wanted = {"command": list(command)}
    return next((plan.parent for plan in plans if _read(plan) == wanted), None)


def is_unfinished(folder: Path) -> bool:
    """Whether something is left to do in a folder."""
    return (folder / PLAN).exists() or bool(shards(folder))


def forget_plan(folder: Path) -> None:
    """The run is finished: the same command begins a new one."""
    (folder / PLAN).unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path, patience_s: float) -> Iterator[None]:
    """Make a folder, and lock it for other processes; where that cannot be done is an `AttnbenchError`.

    The folder itself is locked, too: a lock whose file somebody removes keeps nobody out any more. Where the
    file system has no locks, a lease stands for them.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("w")
    except OSError as error:
        raise AttnbenchError(
            f"The folder {folder} cannot be written: {error.strerror}; name another one with --out."
        ) from error
    with file, _opened(folder) as itself, ExitStack() as meanwhile:
        try:
            _wait_for(lambda: _lock_or_lease(folder, file.fileno(), meanwhile), patience_s)
            _lock_where_possible(itself)
        except (BlockingIOError, PermissionError):
            raise InUse(
                f"{folder} is in use by {_holder(folder)}; wait for it, or name another folder with --out."
            ) from None
        except OSError as error:
            raise AttnbenchError(
                f"The folder {folder} cannot be locked ({error.strerror}), by which a run keeps a second "
                "process out; name a folder on a local disk with --out."
            ) from error
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _wait_for(lock: Callable[[], None], patience_s: float) -> None:
    """Lock, once whoever has it lets go of it in that time."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return lock()
        except (BlockingIOError, PermissionError):
            if time.monotonic() >= until:
                raise
        time.sleep(RETRY_S)


def _lock_or_lease(folder: Path, descriptor: int, meanwhile: ExitStack) -> None:
    """Lock what is open; where its file system has no locks, have the folder's lease meanwhile."""
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        meanwhile.enter_context(leased(folder / LEASE))


def _lock(descriptor: int) -> None:
    """Lock what is open; that ends with it, and with the process that has it, however that ends."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock_where_possible(descriptor: int) -> None:
    """The same of a folder, which some file systems do not lock."""
    try:
        _lock(descriptor)
    except BlockingIOError:
        raise
    except OSError:
        return


def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary folders that no process holds."""
    for path in folder.glob(f"{TEMPORARY}*/{LOCK}"):
        with suppress(OSError):  # held, another user's, or gone
            if time.time() - path.stat().st_mtime > YOUNG_S:
                with path.open("r+") as file:
                    _lock(file.fileno())
                    shutil.rmtree(path.parent, ignore_errors=True)


def _holder(folder: Path) -> str:
    match _read(folder / HOLDER):
        case {"process": process, "since": since}:
            return f"process {process}, since {since}"
    return "another process"


def _read(path: Path) -> object:
    """What a small file says; nothing where it is gone, or was cut off while it was written."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
