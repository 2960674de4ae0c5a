"""How commands show the rows of a run, and the changes between two."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from attnbench.errors import AttnbenchError
from attnbench.record import RecordFile
from attnbench.report.crossover import crossovers, foremost, several_sizes
from attnbench.report.crossover_table import UNCHANGED, crossover_table
from attnbench.report.difference import changes, unlike
from attnbench.report.ledger import ledgers, without_ledger
from attnbench.report.ledger_table import report
from attnbench.report.metrics import Row, grouped, is_slower, rows, setting
from attnbench.report.notes import agreement, disturbances, notes
from attnbench.report.table import change_table, claims_table, result_table

WIDE = 159  # columns that Table IV needs with the paper's figures in it


def print_results(out: Console, found: RecordFile, table: Sequence[Row]) -> None:
    """One table a setting, then what a reader must know beside them, and what disturbed the measurement."""
    print_tables(out, table)
    print_notes(out, found, table)


def print_tables(out: Console, table: Sequence[Row]) -> None:
    """One table a setting, as much of it as is as wide as the terminal."""
    for together in grouped(table, setting):
        out.print(result_table(together, narrow=out.width < WIDE))


def print_notes(out: Console, found: RecordFile, table: Sequence[Row]) -> None:
    """What a reader must know beside tables, and what disturbed the measurement."""
    for note in [*found.warnings, *notes(table), *disturbances(table)]:
        out.print(f"· {note}", markup=False)


def print_ledgers(out: Console, found: RecordFile, table: Sequence[Row]) -> None:
    """The ledger of each place that has several variants, tables of the others, and what to know of all."""
    for ledger in ledgers(table):
        for part in report(ledger, out.width):
            out.print(part)
    print_tables(out, without_ledger(table))
    print_notes(out, found, table)


def print_run(
    out: Console, found: RecordFile, baseline: str | None, *, plot: bool, share: float | None
) -> list[str]:
    """A run beside the paper: ratios, rank correlation, claims, figures; the rows slower by `share`."""
    table = _rows_of(found, baseline)
    out.print(f"{found.folder}", style="bold")
    print_results(out, found, table)
    for line in agreement(table):
        out.print(line)
    if any(row.published for row in table):
        out.print(claims_table(table))
    if several_sizes(table):
        print_crossovers(out, table, found.folder if plot else None)
    if plot:
        from attnbench.report.figure.run import save_figures

        for path in save_figures(table, found.folder):
            out.print(f"drawn: {path}")
    return _slower(table, share)


def print_ledgers_of(
    out: Console, found: RecordFile, baseline: str | None, *, plot: bool, share: float | None
) -> list[str]:
    """The ledgers of a run, as files and a figure too; the rows slower than the baseline by `share`."""
    table = _rows_of(found, baseline)
    several = ledgers(table)
    if not several:
        raise AttnbenchError(
            f"The run in {found.folder} has each mechanism in one variant, so that there is nothing for "
            "--kernels to compare; `attnbench run --kernel explicit,fused` measures two."
        )
    out.print(f"{found.folder}", style="bold")
    print_ledgers(out, found, table)
    if plot:
        from attnbench.report.export import write_ledgers
        from attnbench.report.figure.ledger import save_ledgers

        out.print(f"written: {write_ledgers(several, found.folder)}")
        for path in save_ledgers(several, found.folder):
            out.print(f"drawn: {path}")
    return _slower(table, share)


def _rows_of(found: RecordFile, baseline: str | None) -> list[Row]:
    if not found.records:
        raise AttnbenchError(f"The run in {found.folder} holds no rows; nothing was measured in it.")
    return rows(found.records, baseline)


def _slower(table: Sequence[Row], share: float | None) -> list[str]:
    """The rows that are slower than their baseline by more than a share."""
    timed = [(row, row.timing) for row in table if row.timing]
    return [
        f"{row.record.title} ({row.where})"
        for row, timing in timed
        if is_slower(timing.speed, timing.verdict, share)
    ]


def print_crossovers(out: Console, table: Sequence[Row], folder: Path | None) -> None:
    """Where the order of mechanisms changes with size; all changes also as a file if there is a folder."""
    found = crossovers(table)
    shown = foremost(found, table)
    out.print(crossover_table(shown, len(found) - len(shown)) if found else UNCHANGED)
    if folder:
        from attnbench.report.export import write_crossovers

        out.print(f"written: {write_crossovers(found, folder)}")


def print_changes(
    out: Console, before: RecordFile, after: RecordFile, baseline: str | None, *, share: float | None
) -> list[str]:
    """Two runs case by case, and the cases slower by `share`; refuses times that say nothing."""
    different = unlike(before, after)
    found = changes(before, after, baseline, times=not different)
    if not found:
        raise AttnbenchError(
            f"{before.folder} and {after.folder} have no case in common; nothing to compare."
        )
    out.print(f"{before.folder} → {after.folder}", style="bold")
    out.print(change_table(found))
    if different:
        fields = "; ".join(f"{name}: {old} → {new}" for name, old, new in different)
        raise AttnbenchError(
            f"The times of these runs say nothing about each other, because they differ in {fields}. "
            "Counts are compared above; measure both on one machine with the same settings to compare times."
        )
    return [
        f"{change.after.record.title} ({change.after.where})"
        for change in found
        if is_slower(change.speed, change.verdict, share)
    ]
