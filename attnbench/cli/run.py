"""`attnbench run`: measure a sweep, show it as it goes, end with the table."""

import sys
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from attnbench.cases.case import PATCH, Mode
from attnbench.cases.protocol import ALLOCATORS
from attnbench.cases.request import AS_MANY_AS_FIT
from attnbench.cases.sweep import BASELINE
from attnbench.cli import completion
from attnbench.cli.cluster_options import AtMost, Cancel, Detach, On, SameMachine
from attnbench.cli.geometry_options import (
    Dims,
    HeadCounts,
    Images,
    Patch,
    Stages,
)
from attnbench.cli.help import HOW, WHAT, WHERE, flag, option
from attnbench.cli.options import (
    Devices,
    Mechanisms,
    Plugins,
    Seed,
    Sizes,
    ThreadCounts,
    read_batches,
    read_bytes,
    read_modes,
    read_name,
    read_threads,
    split,
)
from attnbench.cli.protocol_options import (
    Duration,
    Energy,
    MaxSeconds,
    Precision,
    Quick,
    Rigorous,
    Sessions,
    Timeout,
    read_duration,
    read_protocol,
)
from attnbench.cli.variant_options import (
    Autocasts,
    CompileModes,
    CudaGraphs,
    Kernels,
    NumberFormats,
    read_variants,
)
from attnbench.errors import AttnbenchError

RESULTS = Path("results")
OF_ONE_CALL = ("--fresh", "--detach", "--cancel")  # what makes a command no other one
EXAMPLES = {
    "all mechanisms in the paper's setting: an impression in two minutes": "attnbench run --quick",
    "what a paper should print, in a folder of its own": "attnbench run --rigorous --out results/table-iv",
    "two layers of one model, forward and as a training step": (
        "attnbench run msa hilo:window=4 --res 28 --dim 384 --mode inference,training"
    ),
    "the four stages of a hierarchical model": (
        "attnbench run msa hilo --stage 56:96:3,28:192:6,14:384:12,7:768:24 --batch 8"
    ),
    "who wins as maps grow": "attnbench run msa hilo van --res 7,14,28,56 --batch 1",
    "how alpha decides HiLo's speed": "attnbench run msa hilo:alpha=0..1/0.1 --batch 16",
    "whether an order survives the kernel and the number format": (
        "attnbench run --device cuda --kernel explicit,fused --dtype float32,bfloat16"
    ),
    "weights and inputs in bfloat16, and torch.autocast, beside float32": (
        "attnbench run --dtype float32,bfloat16 --autocast bfloat16"
    ),
    "how speeds follow batch and threads": "attnbench run msa hilo --batch 1,8,max --threads 1,2 --quick",
    "a layer of your own": "attnbench run my_attention.py msa hilo",
    "whole models, whose slots hold one mechanism or the other": (
        "attnbench run litv2-s/hilo litv2-s/msa litv2-s/sra --batch 8"
    ),
    "on a Slurm cluster, a job a size": (
        "attnbench run --res 7..56/7 --device cpu --on slurm:partition=exclusive"
    ),
}

Batches = Annotated[
    list[str] | None,
    option(
        "--batch",
        metavar="IMAGES",
        about=f"Images in one call; a list too. {AS_MANY_AS_FIT} is the largest power of two that fits.",
        panel=WHAT,
        default="64; with --quick 8 on a CPU",
    ),
]
Modes = Annotated[
    list[str] | None,
    option(
        "--mode",
        metavar="MODE",
        about="inference, training or both, as a list.",
        panel=WHAT,
        default=Mode.inference,
        autocompletion=completion.among(*Mode),
    ),
]
Baseline = Annotated[
    str | None,
    option(
        "--baseline",
        metavar="MECHANISM",
        about="What speeds are relative to; it is measured, named or not.",
        panel=WHAT,
        default=f"{BASELINE}, or the first where that is not measured",
        autocompletion=completion.mechanisms,
    ),
]
Allocator = Annotated[
    str,
    option(
        "--allocator",
        metavar="POLICY",
        about="Of freed memory on a CPU: kept by the process, or given back to the system.",
        panel=HOW,
        autocompletion=completion.among(*ALLOCATORS),
    ),
]
MemoryLimit = Annotated[
    str | None,
    option(
        "--memory-limit",
        metavar="AMOUNT",
        about="Such as 2GiB: what needs more becomes a row with that reason, and is not tried.",
        panel=HOW,
        default="what is free",
    ),
]
Out = Annotated[
    Path | None,
    option(
        "--out",
        metavar="FOLDER",
        about="The folder of the run: records.jsonl and table.csv.",
        panel=WHERE,
        default="results/ and the time, or where this command was interrupted",
    ),
]
Fresh = Annotated[
    bool, flag("--fresh", about="Put aside what the same command measured there before.", panel=WHERE)
]


def run(
    mechanisms: Mechanisms = None,
    device: Devices = None,
    sizes: Sizes = None,
    batch: Batches = None,
    mode: Modes = None,
    dim: Dims = None,
    heads: HeadCounts = None,
    stage: Stages = None,
    image: Images = None,
    patch: Patch = PATCH,
    baseline: Baseline = None,
    plugins: Plugins = None,
    kernel: Kernels = None,
    dtype: NumberFormats = None,
    autocast: Autocasts = None,
    compile_: CompileModes = None,
    cuda_graph: CudaGraphs = None,
    threads: ThreadCounts = None,
    allocator: Allocator = ALLOCATORS[0],
    memory_limit: MemoryLimit = None,
    quick: Quick = False,
    rigorous: Rigorous = False,
    precision: Precision = None,
    sessions: Sessions = None,
    max_seconds: MaxSeconds = None,
    duration: Duration = None,
    timeout: Timeout = None,
    energy: Energy = False,
    seed: Seed = 0,
    out: Out = None,
    fresh: Fresh = False,
    on: On = None,
    at_most: AtMost = None,
    same_machine: SameMachine = False,
    detach: Detach = False,
    cancel: Cancel = False,
) -> None:
    """Measure mechanisms against each other, in Table IV's setting unless told otherwise.

    Each device, size, batch, mode and number of threads is a block, whose members (mechanisms, settings,
    kernels, dtypes) are timed in turn, so that every ratio between them is paired. Options that take lists
    take commas, ranges such as 7..56/7 where they are numbers, and may be repeated; all combinations are
    measured. --for, --precision, --sessions, --max-seconds and --timeout change what --quick, --rigorous or
    the default would do.

    What cannot be measured is a row with its reason, not an error. A run that was interrupted or killed goes
    on with the same command. With --on a cluster measures, each block in a job of its own.
    """
    from attnbench.cli.asked import Asked, Job, Maps
    from attnbench.cli.cluster import run_on_cluster
    from attnbench.cli.output import output
    from attnbench.cli.session import run_here

    effort = read_protocol(
        quick=quick,
        rigorous=rigorous,
        precision=precision,
        sessions=sessions,
        max_seconds=max_seconds,
        duration=duration,
        timeout_s=timeout,
        energy=energy,
    )
    if not on and (at_most or same_machine or detach or cancel):
        raise AttnbenchError(
            "--at-most, --same-machine, --detach and --cancel are about jobs on a cluster; add --on."
        )
    asked = Asked(
        words=tuple(mechanisms or ()),
        plugins=tuple(plugins or ()),
        baseline=baseline,
        maps=Maps(sizes, dim, heads, stage, image, patch),
        batches=partial(_batches, batch, quick=quick),
        modes=read_modes(mode),
        variants=read_variants(kernel, dtype, autocast, compile_, cuda_graph),
        protocol=replace(effort, seed=seed, allocator=read_name("--allocator", allocator, ALLOCATORS)),
        seconds=read_duration("--for", duration) if duration else None,
        threads=read_threads(threads, 1) if threads else (),
        memory_limit_bytes=read_bytes("--memory-limit", memory_limit) if memory_limit else None,
    )
    here = output()
    command = [word for word in sys.argv[1:] if word not in OF_ONE_CALL]
    folder = _folder(out, command)
    if on:
        job = Job(on, at_most, same_machine=same_machine, detach=detach, cancel=cancel)
        run_on_cluster(here, asked, split(device), job, folder, command, fresh=fresh)
    else:
        raise typer.Exit(run_here(here, asked, split(device), folder, command, fresh=fresh))


def _batches(batch: list[str] | None, device: str, *, quick: bool) -> list[int | None]:
    """Images in a call on a device."""
    from attnbench.machine.devices import device_of

    return read_batches(batch, device_of(device).quick_batch if quick else 64)


def _folder(out: Path | None, command: list[str]) -> Path:
    """Where the run goes: as asked, or where the same command was not finished, or a new folder."""
    from attnbench.records.folder import unfinished

    return out or unfinished(RESULTS, command) or RESULTS / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
