"""Options that several commands share, named, so that a signature reads as a list of settings."""

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attnbench import ranges
from attnbench.errors import AttnbenchError
from attnbench.report.figure.sheet import Width
from attnbench.sweep import Mode
from attnbench.variant import COMPILE_MODES, DTYPES, KERNELS, Variant, variants


class Format(StrEnum):
    """How a table of counts is printed."""

    table = "table"
    csv = "csv"


Mechanisms = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MECHANISM",
        help="msa, hilo:alpha=0.5,window=4, or a sweep: hilo:alpha=0..1/0.1,window=2,4.",
        show_default="all",
    ),
]
Form = Annotated[Format, typer.Option("--format", help="A table, or CSV with exact integers.")]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", metavar="FILE", help="A Python file with mechanisms of your own; may be repeated."
    ),
]
Dim = Annotated[int, typer.Option("--dim", help="Channels of a token.")]
Heads = Annotated[int, typer.Option("--heads", help="Attention heads; they must divide --dim.")]
Sizes = Annotated[
    list[str] | None,
    typer.Option(
        "--res",
        metavar="SIZE",
        help="Maps of tokens, 14 or 14x28 or 7..56/7; commas or repeated.",
        show_default="14",
    ),
]
Devices = Annotated[
    list[str] | None,
    typer.Option("--device", help="cpu or cuda; commas or repeated.", show_default="all that torch sees"),
]
Numbers = Annotated[
    str, typer.Option("--dtype", metavar="NUMBERS", help=f"Of weights and inputs: {', '.join(DTYPES)}.")
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads.", show_default="the physical cores")
]
Results = Annotated[Path, typer.Option("--results", help="The folder that holds the runs.")]
PaperWidth = Annotated[
    Width | None,
    typer.Option(
        "--width",
        help="Of figures: one of two columns (3.5 in), text in one column (5.5 in), or a page (7.16 in).",
        show_default="each figure's own",
    ),
]
Svg = Annotated[bool, typer.Option("--svg", help="Figures as SVG too, beside PNG and PDF.")]


def split(values: list[str] | None) -> list[str]:
    """The items of an option that may be repeated and may hold commas and ranges, each once."""
    return ranges.values(",".join(values or ()))


def read_bytes(option: str, text: str) -> int:
    """An amount of memory that is written `2GiB`, `500 MiB` or `1.5GB`."""
    found = re.fullmatch(r"(\d+\.?\d*) *([KMGT]i?)B", text, re.IGNORECASE)
    if not found:
        raise AttnbenchError(f"{option} is {text!r}; it must be an amount of memory such as 2GiB or 500MiB.")
    number, unit = found[1], found[2].upper()
    base = 1024 if unit.endswith("I") else 1000
    return int(float(number) * base ** (1 + "KMGT".index(unit[0])))


def read_batches(values: list[str] | None) -> list[int]:
    """Numbers of images; Table IV's batch of 64 unless told otherwise."""
    texts = split(values) or ["64"]
    for text in texts:
        if not text.isdecimal() or int(text) < 1:
            raise AttnbenchError(f"--batch is {text!r}; it must be a number of images, at least 1.")
    return [int(text) for text in texts]


def read_name(option: str, text: str, allowed: Sequence[str]) -> str:
    """One of the names that an option allows."""
    if text not in allowed:
        raise AttnbenchError(f"{option} is {text!r}; it can be {', '.join(allowed)}.")
    return text


def read_names(option: str, values: list[str] | None, allowed: Sequence[str]) -> list[str]:
    """Some of the names that an option allows; the first of them unless told otherwise."""
    return [read_name(option, text, allowed) for text in split(values) or [allowed[0]]]


def read_modes(values: list[str] | None) -> list[Mode]:
    """What calls do; inference unless told otherwise."""
    return [Mode(text) for text in read_names("--mode", values, list(Mode))]


def read_variants(
    kernels: list[str] | None, dtypes: list[str] | None, modes: list[str] | None, graphs: list[str] | None
) -> list[Variant]:
    """The ways to run a layer that four options ask for, in every combination."""
    return variants(
        read_names("--kernel", kernels, KERNELS),
        read_names("--dtype", dtypes, DTYPES),
        read_names("--compile", modes, COMPILE_MODES),
        [text == "on" for text in read_names("--cuda-graph", graphs, ["off", "on"])],
    )


def read_share(option: str, text: str) -> float:
    """A share that is written `2%` or `0.02`."""
    number, percent, rest = text.partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = 0.0
    if rest or not 0 < share < 1:
        raise AttnbenchError(f"{option} is {text!r}; it must be a share such as 2% or 0.02.")
    return share
