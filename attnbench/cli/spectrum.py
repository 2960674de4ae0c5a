"""`attnbench spectrum`: which spatial frequencies the output of a layer holds."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from attnbench.cli.completion import mechanisms as offered
from attnbench.cli.help import EFFORT, SHOWN, WHERE, argument, flag, option
from attnbench.cli.options import Bare, Dim, Heads, PaperWidth, Plugins, Seed, Size, Svg, read_figures

EXAMPLES = {
    "the paper's Figure 5: what HiLo's two branches pass": "attnbench spectrum --plot",
    "five layers in one figure": "attnbench spectrum hilo msa local-window van xca --plot",
    "smoother curves on a larger map": "attnbench spectrum hilo --res 56 --images 500",
}


def spectrum(
    mechanisms: Annotated[
        list[str] | None,
        argument(
            "MECHANISM",
            about="msa, or hilo:alpha=0.5,window=4.",
            default="hilo",
            autocompletion=offered,
        ),
    ] = None,
    size: Size = None,
    dim: Dim = 768,
    heads: Heads = 12,
    plugins: Plugins = None,
    images: Annotated[
        int,
        option("--images", metavar="N", min=1, about="Generated maps to average over.", panel=EFFORT),
    ] = 100,
    seed: Seed = 0,
    plot: Annotated[
        bool,
        flag("--plot", about="Draw Figure 5 of each layer, and the profiles and gains of all.", panel=SHOWN),
    ] = False,
    width: PaperWidth = None,
    svg: Svg = False,
    bare: Bare = False,
    folder: Annotated[
        Path, option("--out", metavar="FOLDER", about="For figures and profile.csv.", panel=WHERE)
    ] = Path("results/spectrum"),
) -> None:
    """Show what layers with random weights pass of each frequency of maps with a 1/f spectrum.

    The radial profiles of all are also written to profile.csv. With --plot a figure a mechanism has the
    magnitude of the Fourier transform of its output, branch by branch; two more have the profiles of all, and
    how much of each frequency passes. Nothing is timed.
    """
    from attnbench.cases.places import opened
    from attnbench.cases.protocol import QUICK
    from attnbench.cases.sweep import sweep
    from attnbench.cli.geometry_options import geometry_of
    from attnbench.cli.output import output
    from attnbench.errors import AttnbenchError, writing
    from attnbench.measuring.catalogue import chosen
    from attnbench.measuring.spectrum import at_once, survey
    from attnbench.report.spectrum import spectrum_notes, write_profile
    from attnbench.report.terminal.spectrum import spectrum_table
    from attnbench.run.fitting import shortages
    from attnbench.run.plan import Setup

    figures = read_figures(width, plot=plot, svg=svg, bare=bare)
    there = opened(mechanisms, plugins)
    choices = {choice.label: choice for choice in chosen(there.registry, there.words or ["hilo"])}
    for choice in choices.values():
        if choice.mechanism.is_model:
            raise AttnbenchError(
                f"{choice.label} is a model, which gives scores and no map; name a layer, such as hilo."
            )
    geometry = geometry_of(next(iter(choices.values())), size, dim, heads)
    (block,) = sweep(list(choices.values()), [geometry], ["cpu"], batches=[at_once(geometry, images)])
    setup = Setup(there.plugins, replace(QUICK, seed=seed))
    here = output()
    with here.waiting(f"Putting {images} maps through {', '.join(choices)}…"):
        left_out = {
            label: f"{label} has no spectrum: {reason}."
            for label, reason in shortages(block.members, setup).items()
        }
        if left_out.keys() == choices.keys():
            raise AttnbenchError(f"{' '.join(left_out.values())} Choose a smaller --res or --dim.")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        fitting = [choice for label, choice in choices.items() if label not in left_out]
        layer_survey = survey(fitting, geometry, images=images, seed=seed, left_out=left_out)
        paths = [write_profile(layer_survey, folder)]
        if figures:
            from attnbench.report.figure.spectrum import save_figures

            paths += save_figures(layer_survey, folder, figures)
    here.out.print(spectrum_table(layer_survey))
    here.note(spectrum_notes(layer_survey))
    here.wrote(paths)
