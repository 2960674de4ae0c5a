"""Options that several commands share, named, so that a signature reads as a list of settings."""

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer.models import OptionInfo

from attnbench.cases import ranges
from attnbench.cases.case import Mode
from attnbench.cases.labels import closest, did_you_mean
from attnbench.cases.request import AS_MANY_AS_FIT, MOST_THREADS
from attnbench.cases.variant import DTYPES
from attnbench.cli.completion import among, mechanisms, runs
from attnbench.cli.help import EFFORT, HOW, SHOWN, WHAT, WHERE, argument, flag, option
from attnbench.errors import AttnbenchError
from attnbench.machine.devices import DEVICES
from attnbench.report.figure.print_size import EVERY, KINDS, VENUES, PrintSize, Width, read_width

if TYPE_CHECKING:
    from attnbench.analysis.selection import Selection


class Format(StrEnum):
    """How an answer is printed: for a reader, or for a program, with notes on standard error."""

    table = "table"
    csv = "csv"
    json = "json"


DIGITS = 18  # of a number, which no machine holds more of
LETTERS = 40  # of a word that an error repeats
FORMS = (Format.table, Format.json)  # of what has no lines
SYNONYMS = {
    "fp64": "float64",
    "fp32": "float32",
    "fp16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
    "train": "training",
    "infer": "inference",
    "eval": "inference",
    "tex": "latex",
    "md": "markdown",
}
"""What others call what options allow."""


def list_of_sizes(default: str) -> OptionInfo:
    """The option for several maps of tokens, of which commands have different defaults."""
    return option(
        "--res",
        metavar="SIZE",
        about="Maps of tokens: 14, 14x28, or 7..56/7 for every seventh; a list too.",
        panel=WHAT,
        default=default,
    )


def number_format(what: str, allowed: Sequence[str]) -> OptionInfo:
    """The option for one number format, of which commands allow different ones."""
    return option(
        "--dtype",
        metavar="DTYPE",
        about=f"{what}: {', '.join(allowed)}.",
        panel=HOW,
        autocompletion=among(*allowed),
    )


Mechanisms = Annotated[
    list[str] | None,
    argument(
        "MECHANISM",
        about="msa, hilo:alpha=0.5,window=4, a sweep: hilo:alpha=0..1/0.1, or a set: @linear, @all.",
        default="Table IV's and your own",
        autocompletion=mechanisms,
    ),
]
OneMechanism = Annotated[
    str,
    argument("MECHANISM", about="One layer: msa, or hilo:alpha=0.5,window=4.", autocompletion=mechanisms),
]
Run = Annotated[
    Path | None,
    argument("RUN", about="The folder of a run.", default="the newest", autocompletion=runs),
]
Baseline = Annotated[
    str | None,
    option(
        "--baseline",
        metavar="LABEL",
        about="What speeds are relative to: a mechanism of the run, by its word or title.",
        panel=WHAT,
        default="the run's",
        autocompletion=mechanisms,
    ),
]
Form = Annotated[
    Format,
    option(
        "--format",
        metavar="FORMAT",
        about="table; csv or json, which have every digit, base units, and notes on standard error.",
        panel=SHOWN,
    ),
]
TableOrJson = Annotated[
    str,
    option(
        "--format",
        metavar="FORMAT",
        about="table; or json, with notes on standard error.",
        panel=SHOWN,
        autocompletion=among(*FORMS),
    ),
]
Plugins = Annotated[
    list[Path] | None,
    option(
        "--plugin",
        metavar="FILE",
        about="A Python file with mechanisms of your own; may be repeated.",
        panel=WHAT,
        default="none",
    ),
]
Dim = Annotated[int, option("--dim", metavar="CHANNELS", about="Channels of a token.", panel=WHAT)]
Heads = Annotated[
    int, option("--heads", metavar="HEADS", about="Attention heads; they must divide --dim.", panel=WHAT)
]
Size = Annotated[
    str | None,
    option(
        "--res",
        metavar="SIZE",
        about="The map of tokens: 14, or 14x28 for 14 rows of 28; of a model, its images.",
        panel=WHAT,
        default="14; of a model 224",
    ),
]
Sizes = Annotated[list[str] | None, list_of_sizes("14")]
Devices = Annotated[
    list[str] | None,
    option(
        "--device",
        metavar="DEVICE",
        about=f"{', '.join(DEVICES)}; a list too.",
        panel=WHAT,
        default="all that torch sees",
        autocompletion=among(*DEVICES),
    ),
]
Numbers = Annotated[str, number_format("Of weights and inputs", DTYPES)]
Threads = Annotated[
    int | None,
    option(
        "--threads",
        metavar="N",
        min=1,
        max=MOST_THREADS,
        about="CPU threads.",
        panel=HOW,
        default="the physical cores",
    ),
]
ThreadCounts = Annotated[
    list[str] | None,
    option(
        "--threads",
        metavar="N",
        about="CPU threads; a list too, such as 1,2,4, whose members are blocks of their own.",
        panel=HOW,
        default="the physical cores",
    ),
]
Seed = Annotated[
    int, option("--seed", metavar="N", about="Fixes weights, inputs and all that is random.", panel=EFFORT)
]
Results = Annotated[
    Path,
    option("--results", metavar="FOLDER", about="Where the newest run is looked for.", panel=WHERE),
]
PaperWidth = Annotated[
    str | None,
    option(
        "--width",
        metavar="WIDTH",
        about=(
            "Of figures: column (3.5 in), text (5.5 in), page (7.16 in), a length such as 3.25in, or the "
            f"column of {', '.join(VENUES)}."
        ),
        panel=SHOWN,
        default="each figure's own",
        autocompletion=among(*Width, *VENUES),
    ),
]
Only = Annotated[
    list[str] | None,
    option(
        "--only",
        metavar="LABEL",
        about="Show these alone, in this order: msa,hilo,mine.",
        panel=SHOWN,
        default="all",
        autocompletion=mechanisms,
    ),
]
Rename = Annotated[
    list[str] | None,
    option(
        "--rename",
        metavar="LABEL=NAME",
        about="What a mechanism is called: mine=Ours; may be repeated.",
        panel=SHOWN,
        default="its title",
    ),
]
Highlight = Annotated[
    list[str] | None,
    option(
        "--highlight",
        metavar="LABEL",
        about="Draw these in colour, and all others grey.",
        panel=SHOWN,
        default="none",
        autocompletion=mechanisms,
    ),
]
Figures = Annotated[
    list[str] | None,
    option(
        "--figure",
        metavar="KIND",
        about=f"Draw these alone, as --plot does: {', '.join(KINDS)}; all, of a run of many settings too.",
        panel=SHOWN,
        default="those of --plot",
        autocompletion=among(*KINDS, EVERY),
    ),
]
Svg = Annotated[bool, flag("--svg", about="Figures as SVG too, beside PNG and PDF.", panel=SHOWN)]
Bare = Annotated[
    bool,
    flag("--bare", about="Figures without their note on setting and machine.", panel=SHOWN),
]


def split(values: list[str] | None) -> list[str]:
    """The items of an option that may be repeated and may hold commas and ranges, each once."""
    return ranges.values(",".join(values or ()))


def read_figures(
    width: str | None, *, plot: bool, svg: bool, bare: bool, kinds: list[str] | None = None
) -> PrintSize | None:
    """How figures are drawn, and which of them; None where they are not."""
    if plot or kinds:
        chosen = frozenset(read_names("--figure", kinds, (*KINDS, EVERY))) if kinds else frozenset()
        return PrintSize(read_width(width) if width else None, svg=svg, bare=bare, kinds=chosen)
    if svg or bare or width:
        raise AttnbenchError("--width, --svg and --bare say how figures are drawn; add --plot to draw them.")
    return None


def read_selection(only: list[str] | None, names: list[str] | None) -> "Selection":
    """Which mechanisms are shown, and under which names."""
    from attnbench.analysis.selection import Selection

    renamed = {}
    for text in names or ():
        label, equals, name = text.rpartition("=")
        if not (label and equals and name.strip()):
            raise AttnbenchError(f"--rename is {text!r}; it must be LABEL=NAME, such as mine=Ours.")
        renamed[label] = name
    return Selection(tuple(split_labels(only)), renamed)


def split_labels(values: list[str] | None) -> list[str]:
    """Labels from a list with commas, which settings have as well: an item with `=` alone goes on."""
    labels: list[str] = []
    for item in ",".join(values or ()).split(","):
        if labels and "=" in item and ":" not in item and ":" in labels[-1]:
            labels[-1] += f",{item}"
        elif item.strip():
            labels.append(item.strip())
    return list(dict.fromkeys(labels))


def read_form(text: str) -> Format:
    """How an answer without lines is printed."""
    return Format(read_name("--format", text, FORMS))


def read_counts(option: str, values: list[str] | None, usual: int) -> list[int]:
    """Whole numbers of at least 1; the usual one unless told otherwise."""
    texts = split(values) or [str(usual)]
    for text in texts:
        if not text.isdecimal() or len(text) > DIGITS or int(text) < 1:
            raise AttnbenchError(f"{option} is {shortened(text)!r}; it must be a whole number, at least 1.")
    return [int(text) for text in texts]


def shortened(text: str) -> str:
    """A word of a command line as an error repeats it."""
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}…"


def read_bytes(option: str, text: str) -> int:
    """An amount of memory that is written `2GiB`, `500 MiB` or `1.5GB`."""
    amount = re.fullmatch(r"(\d+\.?\d*) *([KMGT]i?)B", text, re.IGNORECASE)
    if not amount:
        raise AttnbenchError(f"{option} is {text!r}; it must be an amount of memory such as 2GiB or 500MiB.")
    number, unit = amount[1], amount[2].upper()
    base = 1024 if unit.endswith("I") else 1000
    return int(float(number) * base ** (1 + "KMGT".index(unit[0])))


def read_batches(values: list[str] | None, usual: int) -> list[int | None]:
    """Numbers of images, None for as many as fit; the usual one unless told otherwise."""
    texts = split(values) or [str(usual)]
    for text in texts:
        if text != AS_MANY_AS_FIT and (not text.isdecimal() or len(text) > DIGITS or int(text) < 1):
            raise AttnbenchError(
                f"--batch is {shortened(text)!r}; it must be a number of images, at least 1, or "
                f"{AS_MANY_AS_FIT} for as many as fit."
            )
    return [None if text == AS_MANY_AS_FIT else int(text) for text in texts]


def read_threads(values: list[str] | None, usual: int) -> list[int]:
    """Numbers of threads; the usual one unless told otherwise."""
    numbers = read_counts("--threads", values, usual)
    for number in numbers:
        if number > MOST_THREADS:
            raise AttnbenchError(f"--threads is {number}; it must be {MOST_THREADS} at most.")
    return numbers


def read_name(option: str, text: str, allowed: Sequence[str]) -> str:
    """One of the names that an option allows, some of which have synonyms: `bf16`, `train`, `tex`."""
    meant = text if text in allowed else SYNONYMS.get(text.casefold(), text)
    if meant not in allowed:
        near = did_you_mean(closest(text, map(str, allowed)))
        raise AttnbenchError(f"{option} is {text!r}; it can be {', '.join(allowed)}.{near}")
    return meant


def read_names(option: str, values: list[str] | None, allowed: Sequence[str]) -> list[str]:
    """Some of the names that an option allows; the first of them unless told otherwise."""
    return [read_name(option, text, allowed) for text in split(values) or [allowed[0]]]


def read_modes(values: list[str] | None) -> list[Mode]:
    """What calls do; inference unless told otherwise."""
    return [Mode(text) for text in read_names("--mode", values, list(Mode))]


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
