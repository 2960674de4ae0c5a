"""`attnbench profile`: where the time of one layer goes, operator by operator."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from attnbench.cases.variant import DTYPES, KERNELS, PLAIN, Variant
from attnbench.cli.completion import among
from attnbench.cli.help import HOW, WHAT, WHERE, option
from attnbench.cli.options import (
    Dim,
    Form,
    Format,
    Heads,
    Numbers,
    OneMechanism,
    Plugins,
    Seed,
    Size,
    Threads,
    read_name,
)
from attnbench.machine.devices import DEVICES

RESULTS = Path("results/profile")
EXAMPLES = {
    "where QuadTree's time goes": "attnbench profile quadtree --batch 16",
    "the same layer under torch's own kernel": "attnbench profile msa --kernel fused",
    "HiLo on a large map, on a GPU": "attnbench profile hilo --res 56 --batch 8 --device cuda",
    "operators for a program": "attnbench profile van --batch 4 --format csv",
}


def profile(
    mechanism: OneMechanism,
    size: Size = None,
    batch: Annotated[
        int, option("--batch", metavar="IMAGES", min=1, about="Images in one call.", panel=WHAT)
    ] = 64,
    device: Annotated[
        str,
        option(
            "--device",
            metavar="DEVICE",
            about=f"{' or '.join(DEVICES)}.",
            panel=WHAT,
            autocompletion=among(*DEVICES),
        ),
    ] = "cpu",
    dim: Dim = 768,
    heads: Heads = 12,
    plugins: Plugins = None,
    dtype: Numbers = PLAIN.dtype,
    kernel: Annotated[
        str,
        option(
            "--kernel",
            metavar="KERNEL",
            about=f"How attention is computed: {', '.join(KERNELS)}.",
            panel=HOW,
            autocompletion=among(*KERNELS),
        ),
    ] = PLAIN.kernel,
    threads: Threads = None,
    seed: Seed = 0,
    form: Form = Format.table,
    out: Annotated[
        Path | None,
        option(
            "--out",
            metavar="FOLDER",
            about="For trace.json and profile.csv.",
            panel=WHERE,
            default=f"{RESULTS}/MECHANISM",
        ),
    ] = None,
) -> None:
    """Show where the time of one forward pass goes: by operator and by part, with a trace for Perfetto.

    Parts are projections, the attention core, data movement, element-wise work, and what lies between
    operators. Beside times stand multiply-adds and the bytes that an operator must move at least. trace.json
    opens in https://ui.perfetto.dev. A profile explains a speed; `attnbench run` measures it.
    """
    from attnbench.cases.places import opened
    from attnbench.cases.protocol import QUICK
    from attnbench.cases.sweep import sweep
    from attnbench.cli.geometry_options import geometry_of
    from attnbench.cli.output import output
    from attnbench.errors import AttnbenchError, writing
    from attnbench.machine import devices
    from attnbench.machine.system import physical_cores
    from attnbench.measuring.profile import TRACE
    from attnbench.measuring.profile import profile as measure
    from attnbench.report.objects import profile_json
    from attnbench.report.profile import profile_csv, profile_notes, write_profile
    from attnbench.report.terminal.profile import operators_table, parts_table, places_tables
    from attnbench.run.fitting import shortages
    from attnbench.run.plan import Setup

    devices.require(device)
    variant = Variant(read_name("--kernel", kernel, KERNELS), read_name("--dtype", dtype, DTYPES))
    there = opened([mechanism], plugins)
    registry, choice = there.registry, there.registry.choose(there.one)
    geometry = geometry_of(choice, size, dim, heads)
    (block,) = sweep([choice], [geometry], [device], batches=[batch], variants=[variant])
    (case,) = block.members
    threads = threads or physical_cores()
    for reason in shortages([case], Setup(there.plugins, replace(QUICK, seed=seed))).values():
        raise AttnbenchError(
            f"{case.label} cannot be profiled: {reason}. Choose a smaller --res, --dim or --batch."
        )
    folder = out or RESULTS / re.sub(r"[^\w.-]", "-", choice.label)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    layer_profile = measure(registry, case, threads=threads, seed=seed, folder=folder)
    path = write_profile(layer_profile, folder)
    here = output(form)
    match form:
        case Format.table:
            here.out.print(operators_table(layer_profile))
            here.out.print(parts_table(layer_profile))
            for table in places_tables(layer_profile):
                here.out.print(table)
        case Format.csv:
            here.data(profile_csv(layer_profile))
        case Format.json:
            here.data(profile_json(layer_profile))
    here.note([*profile_notes(layer_profile), *registry.problems])
    here.wrote([path, folder / TRACE])
    here.tell("open the trace in https://ui.perfetto.dev: drag the file into the page")
