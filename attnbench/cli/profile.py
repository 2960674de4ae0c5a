"""`attnbench profile`: where the time of one layer goes, operator by operator."""

import re
from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import Dim, Form, Format, Heads, Numbers, Plugins, Threads, read_name
from attnbench.variant import DTYPES, KERNELS, PLAIN, Variant

RESULTS = Path("results/profile")
WIDE = 120  # letters of the widest table that a terminal may be asked for


def profile(
    mechanism: Annotated[str, typer.Argument(metavar="MECHANISM", help="msa, or hilo:alpha=0.5,window=4.")],
    size: Annotated[
        str, typer.Option("--res", metavar="SIZE", help="The map of tokens, 14 or 14x28.")
    ] = "14",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images in one call.")] = 64,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    dim: Dim = 768,
    heads: Heads = 12,
    dtype: Numbers = PLAIN.dtype,
    kernel: Annotated[
        str, typer.Option("--kernel", help=f"How attention is computed: {', '.join(KERNELS)}.")
    ] = PLAIN.kernel,
    threads: Threads = None,
    seed: Annotated[int, typer.Option("--seed", help="Fixes weights and inputs.")] = 0,
    plugins: Plugins = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Where trace and numbers go.",
            show_default=f"{RESULTS}/MECHANISM",
        ),
    ] = None,
    form: Form = Format.table,
) -> None:
    """Show where the time of one forward pass goes: by operator and by part, with a trace for Perfetto."""
    from attnbench import machine
    from attnbench.cli.console import console
    from attnbench.errors import writing
    from attnbench.measure.profile import TRACE
    from attnbench.measure.profile import profile as measure
    from attnbench.mechanism import Geometry
    from attnbench.registry import discover
    from attnbench.report.profile import (
        operators_table,
        parts_table,
        profile_csv,
        profile_notes,
        write_profile,
    )
    from attnbench.sweep import read_size, sweep
    from attnbench.system import physical_cores

    machine.require_device(device)
    variant = Variant(read_name("--kernel", kernel, KERNELS), read_name("--dtype", dtype, DTYPES))
    registry = discover(plugins or ())
    choice = registry.choose(mechanism)
    geometry = Geometry(dim, heads, *read_size(size))
    (block,) = sweep([choice], [geometry], [device], batches=[batch], variants=[variant])
    (case,) = block.members
    folder = out or RESULTS / re.sub(r"[^\w.-]", "-", choice.label)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    found = measure(registry, case, threads=threads or physical_cores(), seed=seed, folder=folder)
    path = write_profile(found, folder)
    if form is Format.csv:
        print(profile_csv(found), end="")
        return
    screen = console()
    narrow = screen.width < WIDE
    screen.print(operators_table(found, narrow=narrow))
    screen.print(parts_table(found, narrow=narrow))
    for line in [*profile_notes(found), *registry.problems]:
        screen.print(f"· {line}", markup=False)
    for written in (path, folder / TRACE):
        screen.print(f"written: {written}", markup=False, soft_wrap=True)
    screen.print("open the trace in https://ui.perfetto.dev: drag the file into the page", markup=False)
