"""Runs as what is reported: the rows of each, under a name of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from attnbench.analysis.rows import Row, rows
from attnbench.cases.case import Role
from attnbench.errors import AttnbenchError
from attnbench.records.record import RecordFile, read


@dataclass(frozen=True, slots=True)
class Run:
    """The rows of a run, and the file that they are from.

    `name` is that of its folder, with as much of the path as no other run shares.
    """

    name: str
    rows: Sequence[Row]
    file: RecordFile


def open_runs(folders: Sequence[Path], baseline: str | None = None, *, with_paper: bool = True) -> list[Run]:
    """The runs in these folders, each once, with the published numbers if they are asked for."""
    found = {folder.resolve(): folder for folder in folders}
    files = [read(folder) for folder in found.values()]
    tables = [
        rows_of(file, baseline, run=f"the run in {file.folder}" if len(files) > 1 else "this run")
        for file in files
    ]
    if not with_paper:
        tables = [[replace(row, published=None) for row in table] for table in tables]
    return list(map(Run, _names(list(found)), tables, files))


def rows_of(found: RecordFile, baseline: str | None = None, *, run: str = "this run") -> list[Row]:
    """The rows of a run, which errors call `run`; one that has none is an `AttnbenchError`."""
    require_rows(found)
    return rows(found.records, baseline, run=run)


def require_rows(found: RecordFile) -> None:
    """Raise `AttnbenchError` if nothing was measured in a run."""
    if not any(record.case.role is Role.member for record in found.records):
        raise AttnbenchError(f"The run in {found.folder} holds no rows; nothing was measured in it.")


def _names(folders: Sequence[Path]) -> list[str]:
    """The ends of paths, as long as it takes to tell them apart."""
    for length in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-length:]) for folder in folders]
        if len(set(names)) == len(names):
            break
    return names
