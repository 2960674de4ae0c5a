"""`attnbench spectrum`: which spatial frequencies the output of a layer holds."""

from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import Dim, Heads, PaperWidth, Plugins, Svg


def spectrum(
    mechanisms: Annotated[
        list[str] | None,
        typer.Argument(metavar="MECHANISM", help="msa, or hilo:alpha=0.5,window=4.", show_default="hilo"),
    ] = None,
    size: Annotated[
        str, typer.Option("--res", metavar="SIZE", help="The map of tokens, 14 or 14x28.")
    ] = "14",
    dim: Dim = 768,
    heads: Heads = 12,
    images: Annotated[int, typer.Option("--images", min=1, help="Generated maps to average over.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Fixes weights and maps.")] = 0,
    plugins: Plugins = None,
    folder: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where figures and numbers go.")
    ] = Path("results/spectrum"),
    width: PaperWidth = None,
    svg: Svg = False,
) -> None:
    """Draw the spectra of layers with random weights on maps with a 1/f spectrum: Figure 5, and profiles."""
    from attnbench.cli.console import console
    from attnbench.errors import writing
    from attnbench.measure.spectrum import survey
    from attnbench.mechanism import Geometry
    from attnbench.registry import discover
    from attnbench.report.figure.sheet import Sheet
    from attnbench.report.figure.spectrum import save_figures
    from attnbench.report.spectrum import spectrum_notes, spectrum_table, write_profile
    from attnbench.sweep import read_size

    registry = discover(plugins or ())
    choices = {choice.label: choice for choice in map(registry.choose, mechanisms or ["hilo"])}
    geometry = Geometry(dim, heads, *read_size(size))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    out = console()
    with out.status(f"Putting {images} maps through {', '.join(choices)}…"):
        found = survey(list(choices.values()), geometry, images=images, seed=seed)
        paths = [*save_figures(found, folder, Sheet(width, svg=svg)), write_profile(found, folder)]
    out.print(spectrum_table(found))
    for line in spectrum_notes(found):
        out.print(f"· {line}", markup=False)
    for path in paths:
        out.print(f"written: {path}", markup=False, soft_wrap=True)
