"""The part of `attnbench run` after the parsing: hold the folder, measure what is left, show the rows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from attnbench.analysis.analysis import Analysis
from attnbench.analysis.rows import measured, rows
from attnbench.cases.case import Block
from attnbench.cases.protocol import lasting
from attnbench.cases.sweep import sweep
from attnbench.cli.asked import Asked
from attnbench.cli.output import Output, console
from attnbench.cli.progress import Progress, plan_lines
from attnbench.cli.show import print_matrices
from attnbench.machine import devices, system
from attnbench.machine.node import allocation, fingerprint
from attnbench.measuring.catalogue import chosen, opened_to_plan
from attnbench.records import folder
from attnbench.records.record_file import read
from attnbench.report.export import write_table
from attnbench.run import runner
from attnbench.run.fitting import fill
from attnbench.run.plan import Planned, Setup, forecasts
from attnbench.words import plural

ONE = "`attnbench compare --plot` draws them."
SEVERAL = "`attnbench compare` shows each variant's table, and with --kernels --plot draws this."
DONE, NOTHING_MEASURED, INTERRUPTED = 0, 1, 130  # exit statuses, as `attnbench --help` has them


def run_here(
    here: Output, asked: Asked, named: list[str], path: Path, command: list[str], *, fresh: bool
) -> int:
    """Measure on this machine, and say how that went: an exit status."""
    names = named or devices.present()
    for name in names:
        devices.require(name)
    there = opened_to_plan(asked.words, asked.plugins, asked.baseline)
    registry, choices = there.registry, chosen(there.registry, there.words)
    models = [choice.mechanism.is_model for choice in choices]
    geometries = asked.maps.geometries(layers=not all(models), models=any(models))
    here.note([*registry.problems, *asked.maps.remarks(geometries)])
    blocks = [
        block
        for name in names
        for block in sweep(
            choices,
            geometries,
            [name],
            batches=asked.batches(name),
            threads=asked.threads or [system.physical_cores()],
            modes=asked.modes,
            variants=asked.variants,
            baseline=registry.choose(asked.baseline) if asked.baseline else None,
        )
    ]
    cases = sum(len(block.cases) for block in blocks)
    protocol = lasting(asked.protocol, asked.seconds, len(blocks), cases) if asked.seconds else asked.protocol
    setup = Setup(
        plugins=there.plugins,
        protocol=protocol,
        memory_limit_bytes=asked.memory_limit_bytes,
    )
    with runner.spare_for(blocks, setup) as spare:
        return carry_out(here, blocks, replace(setup, spare=spare), path, command, fresh=fresh)


def carry_out(
    output: Output, blocks: Sequence[Block], setup: Setup, path: Path, command: Sequence[str], *, fresh: bool
) -> int:
    """Measure the blocks into the run at `path`, end with its tables, and say how that went: an exit status.

    What goes on meanwhile is said on a terminal, or on standard error where the tables go elsewhere.
    """
    meanwhile = output if output.out.is_interactive else replace(output, aside=console(stderr=True))
    if any(block.is_open for block in blocks):
        with meanwhile.waiting("Finding out how many images fit…"):
            blocks = fill(blocks, setup)
    with meanwhile.waiting(f"Counting {sum(len(block.members) for block in blocks)} cases…"):
        plan = runner.survey(blocks, setup)
    with folder.held(path):
        if fresh and (aside := folder.start_over(path)):
            meanwhile.tell(f"Starting over; the earlier rows are in {aside}.")
        setup = replace(setup, node=fingerprint(folder.salt(path)), allocation=allocation())
        folder.save_plan(path, command)
        left = runner.pending(plan, setup, path)
        finished = _measured(meanwhile, plan, left, setup, path)
        file = read(path)
        analysis = Analysis(path.name, file, rows(file.records))
        csv = write_table(analysis.rows, path)
        if finished:
            folder.forget_plan(path)
    print_matrices(output, analysis)
    rows_in = f"{plural(len(analysis.rows), 'row')} in {path}/records.jsonl and {csv}"
    output.tell(f"{rows_in}.")
    if measured(analysis.rows):
        output.say(SEVERAL if analysis.matrices else ONE)
    if not finished:
        output.say("Interrupted: everything that was measured is kept, and the same command goes on.")
        return INTERRUPTED
    return DONE if measured(analysis.rows) else NOTHING_MEASURED


def _measured(
    output: Output, plan: Sequence[Planned], left: Sequence[Planned], setup: Setup, path: Path
) -> bool:
    """Show what is left to do, and do it."""
    expected = forecasts(left, setup.protocol)
    for line in plan_lines(plan, left, setup.protocol, expected, path):
        output.say(line)
    with Progress(output.aside, [planned.block for planned in left], setup.protocol, expected) as progress:
        return runner.measure(left, setup, path, progress.watch)
