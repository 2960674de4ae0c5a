"""The part of `attnbench run` after the parsing: hold the folder, measure what is left, show the rows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import measured, rows
from attnbench.cases.case import Block
from attnbench.cli.output import Output
from attnbench.cli.progress import Progress, plan_lines
from attnbench.cli.show import print_matrices
from attnbench.machine.node import allocation, fingerprint
from attnbench.records import folder
from attnbench.records.record import read
from attnbench.report.export import write_table
from attnbench.run import runner
from attnbench.run.plan import Planned, Setup, forecasts
from attnbench.words import plural

ONE = "`attnbench compare --plot` draws them."
SEVERAL = "`attnbench compare` shows each variant's table, and with --kernels --plot draws this."


def carry_out(
    output: Output, blocks: Sequence[Block], setup: Setup, path: Path, command: Sequence[str], *, fresh: bool
) -> bool:
    """Measure the blocks into the run at `path`, and end with its tables; False when the user interrupted."""
    with output.waiting(f"Counting {sum(len(block.members) for block in blocks)} cases…"):
        plan = runner.survey(blocks, setup)
    with folder.held(path):
        if fresh and (aside := folder.start_over(path)):
            output.tell(f"Starting over; the earlier rows are in {aside}.")
        setup = replace(setup, node=fingerprint(folder.salt(path)), allocation=allocation())
        folder.save_plan(path, command)
        left = runner.pending(plan, setup, path)
        finished = _measured(output, plan, left, setup, path)
        file = read(path)
        analysis = Analysis(path.name, file, rows(file.records))
        csv = write_table(analysis.rows, path)
        if finished:
            folder.forget_plan(path)
    print_matrices(output, analysis)
    rows_in = f"{plural(len(analysis.rows), 'row')} in {path}/records.jsonl and {csv}"
    output.tell(f"{rows_in}. {_next(analysis)}".rstrip())
    return finished


def _next(analysis: Analysis) -> str:
    """What there is to do with the rows; nothing where none has a time."""
    if not measured(analysis.rows):
        return ""
    return SEVERAL if analysis.matrices else ONE


def _measured(
    output: Output, plan: Sequence[Planned], left: Sequence[Planned], setup: Setup, path: Path
) -> bool:
    """Show what is left to do, and do it."""
    expected = forecasts(left, setup.protocol)
    for line in plan_lines(plan, left, setup.protocol, expected, path):
        output.tell(line)
    with Progress(output.out, [planned.block for planned in left], setup.protocol, expected) as progress:
        return runner.measure(left, setup, path, progress.watch)
