"""`attnbench run`: measure a sweep, show it as it goes, end with the table."""

import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import (
    Devices,
    Dim,
    Heads,
    Mechanisms,
    Plugins,
    Sizes,
    Threads,
    read_batches,
    read_bytes,
    read_modes,
    read_name,
    read_share,
    read_variants,
    split,
)
from attnbench.errors import AttnbenchError
from attnbench.protocol import ALLOCATORS, DEFAULT, QUICK, RIGOROUS, Protocol

RESULTS = Path("results")


def run(
    mechanisms: Mechanisms = None,
    device: Devices = None,
    sizes: Sizes = None,
    batch: Annotated[
        list[str] | None,
        typer.Option("--batch", metavar="IMAGES", help="Images in one call; a list too.", show_default="64"),
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option("--mode", metavar="MODE", help="inference, training or both.", show_default="inference"),
    ] = None,
    dim: Dim = 768,
    heads: Heads = 12,
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            "--dtype",
            metavar="NUMBERS",
            help="float32, tf32, bfloat16, float16, float64; a list too.",
            show_default="float32",
        ),
    ] = None,
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            "--kernel",
            metavar="KERNEL",
            help="How attention is computed: explicit, fused, flash, efficient, cudnn, math; a list too.",
            show_default="explicit",
        ),
    ] = None,
    compile_: Annotated[
        list[str] | None,
        typer.Option(
            "--compile",
            metavar="MODE",
            help="Of torch.compile: default, reduce-overhead, max-autotune; off,default runs both.",
            show_default="off",
        ),
    ] = None,
    cuda_graph: Annotated[
        list[str] | None,
        typer.Option(
            "--cuda-graph",
            metavar="ON",
            help="on captures calls and replays them; off,on.",
            show_default="off",
        ),
    ] = None,
    threads: Threads = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="MECHANISM", help="What speeds are relative to.", show_default="msa"
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Fixes weights, inputs and the order of rounds.")] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="One session, ±5 %: an impression in two minutes.")
    ] = False,
    rigorous: Annotated[
        bool, typer.Option("--rigorous", help="Five sessions, ±1 %, up to 20 minutes a block.")
    ] = False,
    precision: Annotated[
        str | None,
        typer.Option("--precision", metavar="SHARE", help="Stop at intervals of ± this.", show_default="2%"),
    ] = None,
    sessions: Annotated[
        int | None,
        typer.Option("--sessions", min=1, help="Fresh processes that time a block.", show_default="3"),
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option("--max-seconds", min=1, help="Timing of one block.", show_default="300"),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", min=1, help="Seconds for one step, such as a first call.", show_default="120"
        ),
    ] = None,
    memory_limit: Annotated[
        str | None,
        typer.Option("--memory-limit", metavar="AMOUNT", help="2GiB: what needs more is a row, not tried."),
    ] = None,
    allocator: Annotated[
        str,
        typer.Option("--allocator", metavar="WHAT", help="Freed memory is kept, or goes back to the system."),
    ] = ALLOCATORS[0],
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Where the run goes.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Put aside what the same command measured before.")
    ] = False,
    plugins: Plugins = None,
) -> None:
    """Measure mechanisms against each other, in Table IV's setting unless told otherwise.

    A run that was interrupted or killed goes on with the same command.
    """
    from attnbench import machine
    from attnbench.catalogue import chosen
    from attnbench.cli.console import console
    from attnbench.cli.session import carry_out
    from attnbench.mechanism import Geometry
    from attnbench.plan import Setup
    from attnbench.registry import discover
    from attnbench.sweep import read_size, sweep
    from attnbench.system import physical_cores

    effort = _protocol(quick, rigorous, precision, sessions, max_seconds, timeout, seed)
    protocol = replace(effort, allocator=read_name("--allocator", allocator, ALLOCATORS))
    geometries = [Geometry(dim, heads, *read_size(size)) for size in split(sizes) or ["14"]]
    devices = split(device) or machine.devices()
    for name in devices:
        machine.require_device(name)
    registry = discover(plugins or ())
    choices = chosen(registry, mechanisms)
    base = registry.choose(baseline) if baseline else None
    blocks = sweep(
        choices,
        geometries,
        devices,
        batches=read_batches(batch),
        modes=read_modes(mode),
        variants=read_variants(kernel, dtype, compile_, cuda_graph),
        baseline=base,
    )
    setup = Setup(
        plugins=tuple(str(path.resolve()) for path in plugins or ()),
        threads=threads or physical_cores(),
        protocol=protocol,
        memory_limit_bytes=read_bytes("--memory-limit", memory_limit) if memory_limit else None,
    )
    screen = console()
    for problem in registry.problems:
        screen.print(f"· {problem}", markup=False)
    command = [word for word in sys.argv[1:] if word != "--fresh"]
    finished = carry_out(screen, blocks, setup, _folder(out, command), command, fresh=fresh)
    if not finished:
        screen.print("Interrupted: everything that was measured is kept, and the same command goes on.")
        raise typer.Exit(130)


def _protocol(
    quick: bool,
    rigorous: bool,
    precision: str | None,
    sessions: int | None,
    max_seconds: float | None,
    timeout_s: float | None,
    seed: int,
) -> Protocol:
    """The effort that was asked for: a preset, and what differs from it."""
    if quick and rigorous:
        raise AttnbenchError("--quick and --rigorous exclude each other; choose one of them.")
    effort = QUICK if quick else RIGOROUS if rigorous else DEFAULT
    return replace(
        effort,
        precision=read_share("--precision", precision) if precision else effort.precision,
        sessions=sessions or effort.sessions,
        max_seconds=max_seconds or effort.max_seconds,
        timeout_s=timeout_s or effort.timeout_s,
        seed=seed,
    )


def _folder(out: Path | None, command: list[str]) -> Path:
    """Where the run goes: as asked, or where the same command was not finished, or a new place."""
    from attnbench.folder import unfinished

    return out or unfinished(RESULTS, command) or RESULTS / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
