"""What a run says: its rows, and what follows from all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from attnbench.analysis.claims import Judgement, judge, papers_claims
from attnbench.analysis.crossover import Crossover, crossovers
from attnbench.analysis.orders import Agreement, agreements
from attnbench.analysis.rerun import commands
from attnbench.analysis.rows import Row, rows
from attnbench.analysis.variant_matrix import VariantMatrix, matrices
from attnbench.cases.case import Role
from attnbench.errors import AttnbenchError
from attnbench.records.record_file import RecordFile, read


@dataclass(frozen=True)
class Analysis:
    """The rows of a run, and the file that they are from; all else is worked out when it is asked for, once.

    `name` is that of the run's folder, with as much of the path as no other run shares.
    """

    name: str
    file: RecordFile
    rows: Sequence[Row]

    @cached_property
    def machine_kinds(self) -> frozenset[str]:
        """What stands for the kinds of machine that measured it."""
        return frozenset(row.record.machine_kind for row in self.rows)

    @cached_property
    def matrices(self) -> list[VariantMatrix]:
        """The matrix of each workload that has several variants."""
        return matrices(self.rows)

    @cached_property
    def crossovers(self) -> list[Crossover]:
        """Where the order of two mechanisms changes with size."""
        return crossovers(self.rows)

    @cached_property
    def agreements(self) -> list[Agreement]:
        """How far orders are the paper's."""
        return agreements(self.rows)

    @cached_property
    def judgements(self) -> list[Judgement]:
        """What the run says of the paper's claims."""
        return judge(papers_claims(self.file.records), self.file.records)

    @cached_property
    def commands(self) -> list[str]:
        """What measures the run again."""
        return commands(self.file.records)


def analysis_of(file: RecordFile, baseline: str | None = None, *, only: Sequence[str] = ()) -> Analysis:
    """What the run of a file says; one that has no rows is an `AttnbenchError`."""
    return Analysis(file.folder.name, file, rows_of(file, baseline, only=only))


def open_runs(
    folders: Sequence[Path],
    baseline: str | None = None,
    *,
    with_paper: bool = True,
    only: Sequence[str] = (),
) -> list[Analysis]:
    """The runs in these folders, each once, with the published numbers if they are asked for."""
    distinct = {folder.resolve(): folder for folder in folders}
    return analyses_of(list(map(read, distinct.values())), baseline, with_paper=with_paper, only=only)


def analyses_of(
    files: Sequence[RecordFile],
    baseline: str | None = None,
    *,
    with_paper: bool = True,
    only: Sequence[str] = (),
) -> list[Analysis]:
    """What the runs of several files say, each under a name of its own."""
    tables = [
        rows_of(file, baseline, run=f"the run in {file.folder}" if len(files) > 1 else "this run", only=only)
        for file in files
    ]
    if not with_paper:
        tables = [[replace(row, published=None) for row in table] for table in tables]
    return list(map(Analysis, _names([file.folder.resolve() for file in files]), files, tables))


def rows_of(
    file: RecordFile, baseline: str | None = None, *, run: str = "this run", only: Sequence[str] = ()
) -> list[Row]:
    """The rows of a run, which errors call `run`; one that has none is an `AttnbenchError`."""
    require_rows(file)
    return rows(file.records, baseline, run=run, only=only)


def require_rows(file: RecordFile) -> None:
    """Raise `AttnbenchError` if nothing was measured in a run."""
    if not any(record.case.role is Role.member for record in file.records):
        raise AttnbenchError(f"The run in {file.folder} holds no rows; nothing was measured in it.")


def _names(folders: Sequence[Path]) -> list[str]:
    """The ends of paths, as long as it takes to tell them apart."""
    for length in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-length:]) for folder in folders]
        if len(set(names)) == len(names):
            break
    return names
