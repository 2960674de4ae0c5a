"""How commands show the rows of a run, and the changes between two."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from attnbench.analysis.claims import Judgement, Ruling, judge, summary
from attnbench.analysis.crossover import crossovers, foremost, several_sizes
from attnbench.analysis.difference import Change, changes, in_words, unlike
from attnbench.analysis.rows import Row, Timing, grouped, is_slower, setting
from attnbench.analysis.runs import rows_of
from attnbench.analysis.variant_matrix import Ledger, ledgers, without_ledger
from attnbench.cases.sweep import Role
from attnbench.cli.options import Format
from attnbench.cli.output import Page
from attnbench.errors import AttnbenchError
from attnbench.paper.builtin import builtin, sentences
from attnbench.paper.claims import Metric
from attnbench.records.record import RecordFile
from attnbench.report.export import changes_csv, ledgers_csv, table_csv, write_crossovers, write_ledgers
from attnbench.report.figure.print_size import Print
from attnbench.report.notes import agreement, disturbances, notes
from attnbench.report.objects import changes_json, ledgers_json, run_json
from attnbench.report.terminal.claims import claims_notes, claims_table
from attnbench.report.terminal.crossover import UNCHANGED, crossover_table
from attnbench.report.terminal.table import change_table, result_table
from attnbench.report.terminal.variants import report

WIDE = 159  # columns that Table IV needs with the paper's figures in it


def print_tables(page: Page, table: Sequence[Row]) -> None:
    """One table a setting, as much of it as is as wide as the terminal."""
    for together in grouped(table, setting):
        page.out.print(result_table(together, narrow=page.out.width < WIDE))


def print_notes(page: Page, found: RecordFile, table: Sequence[Row]) -> None:
    """What a reader must know beside tables, and what disturbed the measurement."""
    page.note([*found.warnings, *notes(table), *disturbances(table)])


def print_ledgers(page: Page, found: RecordFile, table: Sequence[Row]) -> None:
    """The ledger of each place that has several variants, tables of the others, and what to know of all."""
    for ledger in ledgers(table):
        for part in report(ledger, page.out.width):
            page.out.print(part)
    print_tables(page, without_ledger(table))
    print_notes(page, found, table)


def print_run(
    page: Page, found: RecordFile, baseline: str | None, figures: Print | None, *, share: float | None
) -> list[str]:
    """A run beside the paper: ratios, rank correlation, claims, figures; the rows slower by `share`."""
    table = rows_of(found, baseline)
    if page.form is Format.table:
        _print_run_table(page, found, table)
    else:
        page.data(table_csv(table) if page.form is Format.csv else run_json(found, table))
        print_notes(page, found, table)
    if figures:
        _draw_run(page, found, table, figures)
    return _slower(((row, row.timing) for row in table), share)


def print_judgements(page: Page, found: RecordFile, judgements: Sequence[Judgement]) -> None:
    """What a run says of claims, and how many hold."""
    _print_heading(page, f"{found.folder}")
    print_claims(page, found, judgements)
    page.note(found.warnings)
    page.tell(f"{summary(judgements)}.")


def print_claims(page: Page, found: RecordFile, judgements: Sequence[Judgement]) -> None:
    """A line a claim, and how settings differ from theirs."""
    page.out.print(claims_table(judgements, page.out.width))
    variants = {record.variant for record in found.records if record.role is Role.member}
    page.note(claims_notes(judgements, variants))


def print_sentences(page: Page, found: RecordFile) -> None:
    """What the paper says in words about speed, as far as a run can test it; a line sums up all claims."""
    judgements = judge(builtin(), found.records)
    shown = [
        judgement
        for judgement in judgements
        if judgement.claim in sentences()
        and judgement.claim.metric is Metric.speed
        and judgement.ruling is not Ruling.not_testable
    ]
    if shown:
        print_claims(page, found, shown)
    page.tell(f"{summary(judgements)}; `attnbench claims {found.folder}` has a line for each.")


def print_ledgers_of(
    page: Page, found: RecordFile, baseline: str | None, figures: Print | None, *, share: float | None
) -> list[str]:
    """The ledgers of a run, as files and a figure too; the rows slower than the baseline by `share`."""
    table = rows_of(found, baseline)
    several = ledgers(table)
    if not several:
        raise AttnbenchError(
            f"The run in {found.folder} has each mechanism in one variant, so that there is nothing for "
            "--kernels to compare; `attnbench run --kernel explicit,fused` measures two."
        )
    if page.form is Format.table:
        _print_heading(page, f"{found.folder}")
        print_ledgers(page, found, table)
    else:
        page.data(ledgers_csv(several) if page.form is Format.csv else ledgers_json(found, table))
        print_notes(page, found, table)
    if figures:
        _draw_ledgers(page, found, several, figures)
    return _slower(((row, row.timing) for row in table), share)


def print_changes(
    page: Page, before: RecordFile, after: RecordFile, baseline: str | None, *, share: float | None
) -> list[str]:
    """Two runs case by case, and the cases slower by `share`; refuses times that say nothing."""
    different = unlike(before, after)
    found = changes(before, after, baseline, times=not different)
    if not found:
        raise AttnbenchError(
            f"{before.folder} and {after.folder} have no case in common; nothing to compare."
        )
    match page.form:
        case Format.table:
            _print_heading(page, f"{before.folder} → {after.folder}")
            page.out.print(change_table(found))
        case Format.csv:
            page.data(changes_csv(found))
        case Format.json:
            page.data(changes_json(before, after, found, different))
    page.note([*before.warnings, *after.warnings])
    if different:
        raise AttnbenchError(
            f"The times of these runs say nothing about each other, because they differ in "
            f"{in_words(different)}. "
            "Counts are compared above; measure both on one machine with the same settings to compare times."
        )
    return _slower(((change.after, change) for change in found), share)


def _print_heading(page: Page, heading: str) -> None:
    page.out.print(heading, style="bold", markup=False, soft_wrap=True)


def _print_run_table(page: Page, found: RecordFile, table: Sequence[Row]) -> None:
    _print_heading(page, f"{found.folder}")
    print_tables(page, table)
    print_notes(page, found, table)
    for line in agreement(table):
        page.out.print(line)
    if any(row.published for row in table):
        print_sentences(page, found)
    if several_sizes(table):
        crossed = crossovers(table)
        shown = foremost(crossed, table)
        page.out.print(crossover_table(shown, len(crossed) - len(shown)) if crossed else UNCHANGED)


def _draw_run(page: Page, found: RecordFile, table: Sequence[Row], figures: Print) -> None:
    from attnbench.report.figure.run import save_figures

    if several_sizes(table):
        page.wrote([write_crossovers(crossovers(table), found.folder)])
    _print_drawn(page, save_figures(table, found.folder, figures))


def _draw_ledgers(page: Page, found: RecordFile, several: Sequence[Ledger], figures: Print) -> None:
    from attnbench.report.figure.variants import save_ledgers

    page.wrote([write_ledgers(several, found.folder)])
    _print_drawn(page, save_ledgers(several, found.folder, figures))


def _print_drawn(page: Page, files: Sequence[Path]) -> None:
    page.wrote(files, how="drawn")
    if not files:
        page.tell("Nothing was timed in this run, so nothing is drawn.")


def _slower(judged: Iterable[tuple[Row, Timing | Change | None]], share: float | None) -> list[str]:
    """The rows that are slower, by more than a share, than what they were compared with."""
    return [
        f"{row.record.title} ({row.where})"
        for row, found in judged
        if found and is_slower(found.speed, found.verdict, share)
    ]
