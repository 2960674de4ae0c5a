"""How `compare` shows two runs: case by case, or side by side where their times cannot be compared."""

import shlex
from collections.abc import Sequence

from attnbench.analysis.analysis import Analysis, analyses_of
from attnbench.analysis.difference import Difference, changes, in_words, unlike
from attnbench.analysis.selection import EVERYTHING, Selection
from attnbench.cli.options import Format
from attnbench.cli.output import Output
from attnbench.cli.show import print_drawn, print_heading, print_notes, slower_rows
from attnbench.errors import AttnbenchError
from attnbench.records.record_file import RecordFile
from attnbench.report.column import View
from attnbench.report.export import changes_csv
from attnbench.report.figure.print_size import PrintSize
from attnbench.report.objects import changes_json
from attnbench.report.paper_table import paper_tables
from attnbench.report.table_style import STYLE, TableStyle
from attnbench.report.terminal.table import change_table, joined_table
from attnbench.words import plural

ON_ONE_MACHINE = "measure both on one machine with the same settings to compare times"


def print_changes(
    output: Output,
    before: RecordFile,
    after: RecordFile,
    baseline: str | None,
    *,
    share: float | None,
    selection: Selection = EVERYTHING,
    style: TableStyle = STYLE,
    drawn: bool = False,
) -> list[str]:
    """Two runs case by case, and the cases slower by `share`; side by side where times cannot be compared.

    Where programs or `share` ask for a comparison that there is none of, that is an `AttnbenchError`; so are
    runs that have nothing in common at all, unless they are `drawn`.
    """
    different = unlike(before, after)
    all_changes = selection.of_changes(changes(before, after, baseline, times=not different))
    if (different or not all_changes) and output.form is Format.table and not share:
        runs = list(map(selection.of, analyses_of([before, after], baseline, only=selection.needed)))
        _print_side_by_side(output, runs, style, different, drawn=drawn)
        return []
    if not all_changes:
        raise AttnbenchError(f"{_nothing_in_common(before, after)} {_side_by_side(before, after)}")
    match output.form:
        case Format.table:
            print_heading(output, f"{before.folder} → {after.folder}")
            output.out.print(change_table(all_changes, style))
        case Format.csv:
            output.data(changes_csv(all_changes))
        case Format.json:
            output.data(changes_json(before, after, all_changes, different))
    output.note([*before.warnings, *after.warnings])
    if different:
        raise AttnbenchError(
            f"{_say_nothing(different)} Counts are compared above; {ON_ONE_MACHINE}. "
            f"{_side_by_side(before, after)}"
        )
    return slower_rows(((change.after, change) for change in all_changes), share)


def draw_side_by_side(output: Output, runs: Sequence[Analysis], figures: PrintSize) -> None:
    """A figure of all runs for each setting that they share, in the folder of the first."""
    from attnbench.report.figure.run import save_side_by_side

    files = save_side_by_side({run.name: run.rows for run in runs}, runs[0].file.folder, figures)
    if not files:
        output.say(f"Two runs have no figure of the kind {', '.join(sorted(figures.kinds))}.")
        return
    print_drawn(output, files)


def _print_side_by_side(
    output: Output,
    runs: Sequence[Analysis],
    style: TableStyle,
    different: Sequence[Difference],
    *,
    drawn: bool,
) -> None:
    """The settings that two runs have in common, a group of columns for each, every ratio within its run."""
    files = [run.file for run in runs]
    tables = paper_tables(runs, style, View.terminal)
    joined = [table for table in tables if len({group.run for group in table.groups}) > 1]
    if not joined and drawn:
        output.note(["The runs have no case in common; they are drawn beside each other."])
        return
    if not joined:
        raise AttnbenchError(
            f"{_nothing_in_common(*files)} `attnbench report {_folders(*files)} --format markdown` has a "
            "table of each setting."
        )
    print_heading(output, " | ".join(f"{file.folder}" for file in files))
    for table in joined:
        output.out.print(joined_table(table))
    if different:
        output.note([f"{_say_nothing(different)} Each ratio is within its own run; {ON_ONE_MACHINE}."])
    else:
        output.note(["Each ratio is within its own run."])
    if len(joined) < len(tables):
        output.note([f"{plural(len(tables) - len(joined), 'setting')} of one run alone left out."])
    for run in runs:
        print_notes(output, run)


def _nothing_in_common(before: RecordFile, after: RecordFile) -> str:
    return f"{before.folder} and {after.folder} have no case in common; nothing to compare."


def _say_nothing(different: Sequence[Difference]) -> str:
    return (
        f"The times of these runs say nothing about each other, because they differ in {in_words(different)}."
    )


def _side_by_side(before: RecordFile, after: RecordFile) -> str:
    """The command that works where times of runs cannot be compared."""
    return f"`attnbench compare {_folders(before, after)}` alone sets them side by side."


def _folders(*files: RecordFile) -> str:
    return shlex.join(str(file.folder) for file in files)
