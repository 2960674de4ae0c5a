"""The folder of a run while it is measured: one process holds it, and what is there already counts.

`records.jsonl` has the finished rows. Beside it lies a shard for each block that is not finished; the block's
last record is written before its shard goes, so that a kill between two steps loses nothing.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from attnbench.errors import AttnbenchError, writing
from attnbench.records import lines, record
from attnbench.records.record import RECORDS, Record

LOCK = ".lock"
HOLDER = ".holder.json"
PLAN = "plan.json"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder of a run, if there is none, and keep other processes out of it."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise AttnbenchError(
            f"{folder} is in use by {_holder(folder)}; wait for it, or name another folder with --out."
        ) from None
    except OSError as error:
        raise AttnbenchError(
            f"The folder {folder} cannot be written: {error.strerror}; name another one with --out."
        ) from error
    try:
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        (folder / HOLDER).write_text(json.dumps({"process": os.getpid(), "since": now}), encoding="utf-8")
        lines.mend(folder / RECORDS)
        (folder / RECORDS).touch()
        yield
        (folder / HOLDER).unlink(missing_ok=True)
    finally:
        lock.release()


def complete_records(folder: Path) -> dict[str, Record]:
    """The latest record of each case that needs nothing more, by its key."""
    return {row.key: row for row in record.read(folder).records if row.complete}


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


def forget_plan(folder: Path) -> None:
    """The run is finished: the same command begins a new one."""
    (folder / PLAN).unlink(missing_ok=True)


def _holder(folder: Path) -> str:
    holder = _read(folder / HOLDER)
    return f"process {holder['process']}, since {holder['since']}" if holder else "another process"


def _read(path: Path) -> dict[str, Any]:
    """What a small file says; nothing where it is gone, or was cut off while it was written."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content
