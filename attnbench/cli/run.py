"""`attnbench run`: measure a sweep, show it as it goes, end with the table."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import Dim, Heads, Plugins, Sizes, split


class Dtype(StrEnum):
    """Number formats of weights and inputs."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"
    float64 = "float64"


class Kernel(StrEnum):
    """How softmax attention is computed."""

    explicit = "explicit"
    fused = "fused"


def run(
    mechanisms: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MECHANISM]...", help="msa, or hilo:alpha=0.5,window=4. [default: all]"),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", help="cpu or cuda; commas or repeated. [default: all that torch sees]"),
    ] = None,
    sizes: Sizes = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images in one call.")] = 64,
    dim: Dim = 768,
    heads: Heads = 12,
    dtype: Annotated[Dtype, typer.Option("--dtype", help="Numbers of weights and inputs.")] = Dtype.float32,
    kernel: Annotated[Kernel, typer.Option("--kernel", help="How attention is computed.")] = Kernel.explicit,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads. [default: the physical cores]")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Fixes weights, inputs and the order of rounds.")] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer rounds: an impression in 90 seconds.")
    ] = False,
    max_seconds: Annotated[
        float | None,
        typer.Option(
            "--max-seconds", min=1, help="Timing of one device and size. [default: 300, 70 with --quick]"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Where the run goes.")] = None,
    plugins: Plugins = None,
) -> None:
    """Measure mechanisms against each other, in Table IV's setting unless told otherwise."""
    from attnbench import machine, runner
    from attnbench.catalogue import all_choices
    from attnbench.cli.console import console
    from attnbench.cli.progress import Progress, plan_lines
    from attnbench.cli.show import print_results
    from attnbench.mechanism import Geometry
    from attnbench.record import read
    from attnbench.registry import discover
    from attnbench.report.export import write_table
    from attnbench.report.metrics import rows
    from attnbench.sweep import DEFAULT, QUICK, read_size, sweep

    geometries = [Geometry(dim, heads, *read_size(size)) for size in split(sizes) or ["14"]]
    devices = split(device) or machine.devices()
    for name in devices:
        machine.require_device(name)
    registry = discover(plugins or ())
    choices = [registry.choose(text) for text in mechanisms] if mechanisms else all_choices(registry)
    blocks = sweep(choices, geometries, devices, batch=batch, dtype=dtype, kernel=kernel)
    effort = QUICK if quick else DEFAULT
    setup = runner.Setup(
        plugins=tuple(str(path.resolve()) for path in plugins or ()),
        threads=threads or machine.physical_cores(),
        protocol=replace(effort, seed=seed, max_seconds=max_seconds or effort.max_seconds),
    )
    folder = out or Path("results") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    screen = console()
    for problem in registry.problems:
        screen.print(f"· {problem}", markup=False)
    with screen.status(f"Counting {sum(len(block.cases) for block in blocks)} cases…"):
        known = runner.survey(blocks, setup)
    runner.open_folder(folder)
    expected_s = runner.estimates_s(blocks, known, setup.protocol)
    for line in plan_lines(blocks, setup.protocol, expected_s):
        screen.print(line)
    with Progress(screen, blocks, setup.protocol, expected_s) as progress:
        finished = runner.measure(blocks, known, setup, folder, progress.watch)
    found = read(folder)
    table = rows(found.records)
    path = write_table(table, folder)
    print_results(screen, found, table)
    rows_in = f"{len(table)} row{'s' * (len(table) != 1)} in {folder}/records.jsonl and {path}"
    screen.print(f"{rows_in}. `attnbench compare --plot` draws them.")
    if not finished:
        screen.print("Interrupted: everything that was measured is kept.")
        raise typer.Exit(130)
