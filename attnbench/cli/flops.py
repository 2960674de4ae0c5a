"""`attnbench flops`: how FLOPs grow with resolution, from closed forms."""

from pathlib import Path
from typing import Annotated

from attnbench.cli.help import SHOWN, WHERE, flag, option
from attnbench.cli.options import (
    Bare,
    Dim,
    Form,
    Format,
    Heads,
    Mechanisms,
    PaperWidth,
    Plugins,
    Svg,
    list_of_sizes,
    read_figures,
    split,
)

SIZES = "14..112/14"
IMAGE_SIZES = "224..896/224"  # of models
EXAMPLES = {
    "the paper's Figure 2: Hi-Fi against Lo-Fi": "attnbench flops hilo:alpha=0.5,window=2,4,7 --plot",
    "who is cheapest on large maps": "attnbench flops msa hilo xca --res 14,56,112,224",
    "the numbers alone": "attnbench flops hilo --format csv",
}


def flops(
    mechanisms: Mechanisms = None,
    sizes: Annotated[list[str] | None, list_of_sizes(SIZES)] = None,
    dim: Dim = 768,
    heads: Heads = 12,
    plugins: Plugins = None,
    form: Form = Format.table,
    plot: Annotated[bool, flag("--plot", about="Draw Figure 2: a panel a choice.", panel=SHOWN)] = False,
    width: PaperWidth = None,
    svg: Svg = False,
    bare: Bare = False,
    out: Annotated[
        Path, option("--out", metavar="FOLDER", about="For flops.csv and the figure.", panel=WHERE)
    ] = Path("results/flops"),
) -> None:
    """Show FLOPs against resolution, branch by branch, from closed forms: nothing is measured.

    A map that a mechanism has no meaning for is a dash, with the reason below the table. In every --format
    the numbers are also written to flops.csv, and with --plot drawn as flops.png and flops.pdf.
    """
    from attnbench.cases.places import opened
    from attnbench.cases.sweep import read_size
    from attnbench.cli.output import output
    from attnbench.errors import AttnbenchError
    from attnbench.measuring.catalogue import chosen, points
    from attnbench.mechanism import Geometry
    from attnbench.report.export import flops_csv, write_flops
    from attnbench.report.notes import flops_notes
    from attnbench.report.objects import flops_json
    from attnbench.report.terminal.costs import flops_table

    figures = read_figures(width, plot=plot, svg=svg, bare=bare)
    there = opened(mechanisms, plugins)
    choices = chosen(there.registry, there.words)
    models = any(choice.mechanism.is_model for choice in choices)
    if models and not all(choice.mechanism.is_model for choice in choices):
        raise AttnbenchError("Models and layers have no size in common; ask for either.")
    maps = dict.fromkeys(read_size(size) for size in split(sizes or [IMAGE_SIZES if models else SIZES]))
    geometries = [Geometry.image(*size) if models else Geometry(dim, heads, *size) for size in maps]
    costs = points(choices, geometries)
    files = [write_flops(costs, out)]
    if figures:
        from attnbench.report.figure.flops import save_flops

        files += save_flops(costs, out, figures)
    here = output(form)
    match form:
        case Format.table:
            here.out.print(flops_table(costs))
        case Format.csv:
            here.data(flops_csv(costs))
        case Format.json:
            here.data(flops_json(costs))
    here.note([*flops_notes(costs), *there.registry.problems])
    here.wrote(files)
