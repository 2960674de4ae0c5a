"""How layers are run: the options of which `attnbench run` takes lists, and measures all combinations."""

from typing import Annotated

from attnbench.cases.variant import (
    AUTOCAST,
    AUTOCAST_FORMATS,
    COMPILE_MODES,
    DTYPES,
    KERNELS,
    Variant,
    variants,
)
from attnbench.cli.completion import among
from attnbench.cli.help import HOW, option
from attnbench.cli.options import read_names
from attnbench.errors import AttnbenchError

OFF, ON = SWITCH = ("off", "on")

Kernels = Annotated[
    list[str] | None,
    option(
        "--kernel",
        metavar="KERNEL",
        about=f"How attention is computed: {', '.join(KERNELS)}; a list too.",
        panel=HOW,
        default=KERNELS[0],
        autocompletion=among(*KERNELS),
    ),
]
NumberFormats = Annotated[
    list[str] | None,
    option(
        "--dtype",
        metavar="DTYPE",
        about=f"Of weights and inputs: {', '.join(DTYPES)}; a list too.",
        panel=HOW,
        default=DTYPES[0],
        autocompletion=among(*DTYPES),
    ),
]
Autocasts = Annotated[
    list[str] | None,
    option(
        "--autocast",
        metavar="DTYPE",
        about=f"Beside --dtype: float32 under torch.autocast, {', '.join(AUTOCAST_FORMATS)}; a list too.",
        panel=HOW,
        default="none",
        autocompletion=among(*AUTOCAST_FORMATS),
    ),
]
CompileModes = Annotated[
    list[str] | None,
    option(
        "--compile",
        metavar="MODE",
        about=f"Of torch.compile: {', '.join(COMPILE_MODES)}; off,default runs both.",
        panel=HOW,
        default=COMPILE_MODES[0],
        autocompletion=among(*COMPILE_MODES),
    ),
]
CudaGraphs = Annotated[
    list[str] | None,
    option(
        "--cuda-graph",
        metavar="on|off",
        about="on captures calls and replays them, with --device cuda; off,on runs both.",
        panel=HOW,
        default=OFF,
        autocompletion=among(*SWITCH),
    ),
]


def read_variants(
    kernels: list[str] | None,
    dtypes: list[str] | None,
    autocasts: list[str] | None,
    modes: list[str] | None,
    graphs: list[str] | None,
) -> list[Variant]:
    """The ways to run a layer that five options ask for, in every combination.

    That all of them nest CUDA graphs is a mistake; of several ways, those that do are rows with this reason.
    """
    ways = variants(
        read_names("--kernel", kernels, KERNELS),
        _number_formats(dtypes, autocasts),
        read_names("--compile", modes, COMPILE_MODES),
        [text == ON for text in read_names("--cuda-graph", graphs, SWITCH)],
    )
    if all(way.nested for way in ways):
        raise AttnbenchError(f"{ways[0].nested}.")
    return ways


def _number_formats(dtypes: list[str] | None, autocasts: list[str] | None) -> list[str]:
    """Those of `--dtype`, and beside them those of `--autocast`, each once."""
    under = read_names("--autocast", autocasts, AUTOCAST_FORMATS) if autocasts else ()
    return list(dict.fromkeys([*read_names("--dtype", dtypes, DTYPES), *(AUTOCAST + name for name in under)]))
