"""How commands show the rows of a run, and the changes between two."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.claims import Judgement, Ruling, summary
from attnbench.analysis.crossover import foremost, several_sizes
from attnbench.analysis.difference import Change
from attnbench.analysis.rows import Row, Timing, grouped, is_slower, measured, setting
from attnbench.analysis.variant_matrix import without_matrix
from attnbench.cases.case import Role
from attnbench.cli.options import Format
from attnbench.cli.output import Output, show
from attnbench.errors import AttnbenchError
from attnbench.paper.builtin import sentences
from attnbench.paper.claims import Metric
from attnbench.records.record_file import RecordFile
from attnbench.report.export import matrices_csv, table_csv, write_crossovers, write_matrices
from attnbench.report.figure.print_size import PrintSize
from attnbench.report.notes import agreement, disturbances, notes, too_noisy
from attnbench.report.objects import matrices_json, run_json_pieces
from attnbench.report.table_style import STYLE, TableStyle
from attnbench.report.terminal.claims import claims_notes, claims_table
from attnbench.report.terminal.crossover import UNCHANGED, crossover_table
from attnbench.report.terminal.table import result_table
from attnbench.report.terminal.variants import report


def print_tables(output: Output, table: Sequence[Row], style: TableStyle = STYLE) -> None:
    """One table a setting."""
    for together in grouped(table, setting):
        output.out.print(result_table(together, style))


def print_notes(output: Output, run: Analysis) -> None:
    """What a reader must know beside tables, and what disturbed the measurement."""
    output.note([*run.file.warnings, *notes(run.rows), *disturbances(run.rows)])


def print_matrices(output: Output, run: Analysis, style: TableStyle = STYLE) -> None:
    """The matrix of each setting that has several variants, tables of the others, and what to know of all.

    Above them stands why none of their speeds is usable, where that is so.
    """
    output.note(too_noisy(run.rows))
    for matrix in run.matrices:
        for part in report(matrix, style):
            output.out.print(part)
    print_tables(output, without_matrix(run.rows), style)
    print_notes(output, run)


def print_run(
    output: Output,
    run: Analysis,
    figures: PrintSize | None,
    *,
    share: float | None,
    style: TableStyle = STYLE,
) -> list[str]:
    """A run beside the paper: ratios, rank correlation, claims, figures; the rows slower by `share`."""
    if output.form is Format.table:
        _print_run_table(output, run, style)
    else:
        show([table_csv(run.rows, style.columns)] if output.form is Format.csv else run_json_pieces(run))
        print_notes(output, run)
    if figures:
        _draw_run(output, run, figures)
    return slower_rows(((row, row.timing) for row in run.rows), share)


def print_judgements(output: Output, file: RecordFile, judgements: Sequence[Judgement]) -> None:
    """What a run says of claims, and how many hold."""
    print_heading(output, f"{file.folder}")
    print_claims(output, file, judgements)
    output.note(file.warnings)
    output.say(f"{summary(judgements)}.")


def print_claims(output: Output, file: RecordFile, judgements: Sequence[Judgement]) -> None:
    """A line a claim, and how settings differ from theirs."""
    output.out.print(claims_table(judgements))
    variants = {record.case.variant for record in file.records if record.case.role is Role.member}
    output.note(claims_notes(judgements, variants))


def print_sentences(output: Output, run: Analysis) -> None:
    """What the paper says in words about speed, as far as a run can test it; a line sums up all claims."""
    shown = [
        judgement
        for judgement in run.judgements
        if judgement.claim in sentences()
        and judgement.claim.metric is Metric.speed
        and judgement.ruling is not Ruling.not_testable
    ]
    if shown:
        print_claims(output, run.file, shown)
    output.say(f"{summary(run.judgements)}.")
    output.tell(f"`attnbench claims {run.file.folder}` has a line for each.")


def print_matrices_of(
    output: Output,
    run: Analysis,
    figures: PrintSize | None,
    *,
    share: float | None,
    style: TableStyle = STYLE,
) -> list[str]:
    """The matrices of a run, as files and a figure too; the rows slower than the baseline by `share`."""
    if not run.matrices:
        raise AttnbenchError(
            f"The run in {run.file.folder} has each mechanism in one variant, so that there is nothing for "
            "--kernels to compare; `attnbench run --kernel explicit,fused` measures two."
        )
    if output.form is Format.table:
        print_heading(output, f"{run.file.folder}")
        print_matrices(output, run, style)
    else:
        output.data(matrices_csv(run.matrices) if output.form is Format.csv else matrices_json(run))
        print_notes(output, run)
    if figures:
        _draw_matrices(output, run, figures)
    return slower_rows(((row, row.timing) for row in run.rows), share)


def print_heading(output: Output, heading: str) -> None:
    output.out.print(heading, style="bold", markup=False, soft_wrap=True)


def _print_run_table(output: Output, run: Analysis, style: TableStyle) -> None:
    print_heading(output, f"{run.file.folder}")
    output.note(too_noisy(run.rows))
    print_tables(output, run.rows, style)
    print_notes(output, run)
    for line in agreement(run.agreements):
        output.out.print(line, markup=False)
    if any(row.published for row in run.rows):
        print_sentences(output, run)
    if several_sizes(run.rows):
        crossed = run.crossovers
        shown = foremost(crossed, run.rows)
        output.out.print(crossover_table(shown, len(crossed) - len(shown)) if crossed else UNCHANGED)


def _draw_run(output: Output, run: Analysis, figures: PrintSize) -> None:
    from attnbench.report.figure.run import save_figures

    if several_sizes(run.rows):
        output.wrote([write_crossovers(run.crossovers, run.file.folder)])
    files = save_figures(run.rows, run.file.folder, figures)
    if not files and measured(run.rows):
        output.say(f"This run has no figure of the kind {', '.join(sorted(figures.kinds))}.")
        return
    print_drawn(output, files)


def _draw_matrices(output: Output, run: Analysis, figures: PrintSize) -> None:
    from attnbench.report.figure.variants import save_matrices

    output.wrote([write_matrices(run.matrices, run.file.folder)])
    print_drawn(output, save_matrices(run.matrices, run.file.folder, figures))


def print_drawn(output: Output, files: Sequence[Path]) -> None:
    """The figures that a command drew, or why there are none."""
    output.wrote(files, how="drawn")
    if not files:
        output.tell("Nothing was timed in this run, so nothing is drawn.")


def slower_rows(judged: Iterable[tuple[Row, Timing | Change | None]], share: float | None) -> list[str]:
    """The rows that are slower, by more than a share, than what they were compared with."""
    return [
        f"{row.record.case.title} ({row.where})"
        for row, timing in judged
        if timing and is_slower(timing.speed, timing.verdict, share)
    ]
