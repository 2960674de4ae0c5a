"""What a layer raised, in a line, and where in its author's code."""

import sysconfig
from pathlib import Path
from traceback import walk_tb

import torch

NOBODYS = tuple(
    str(Path(folder).resolve())
    for folder in (Path(torch.__file__).parent, Path(__file__).parents[1], sysconfig.get_path("stdlib"))
)
"""Folders of code that no layer's author has written, but for the packages that are installed in them."""
INSTALLED = "site-packages"


ADVICE = (
    "Search for `cuda",
    "CUDA kernel errors might be",
    "For debugging consider",
    "Compile with `TORCH_USE",
)
"""Beginnings of the lines that torch puts behind whatever CUDA says."""


def without_advice(error: BaseException) -> str:
    """What an error says, without torch's standing advice to those who write kernels."""
    lines = str(error).strip().splitlines()
    return "\n".join(line for line in lines if not line.startswith(ADVICE))


def told(error: BaseException) -> str:
    """The kind of an error and its first line, and behind it the file and line of the layer, if any."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}{place_of(error)}"


def place_of(error: BaseException) -> str:
    """` (my_attention.py, line 12)`: the last line of a layer's own file that an error went through.

    Where it went through none but installed packages, as timm, it is the last line of theirs.
    """
    frames = [(Path(frame.f_code.co_filename), line) for frame, line in walk_tb(error.__traceback__)]
    theirs = [(file, line) for file, line in frames if file.is_file() and not _is_nobodys(file.resolve())]
    own = [(file, line) for file, line in theirs if INSTALLED not in file.parts] or theirs
    return f" ({own[-1][0].name}, line {own[-1][1]})" if own else ""


def _is_nobodys(file: Path) -> bool:
    torch_and_attnbench, python = NOBODYS[:-1], NOBODYS[-1]
    inside = file.is_relative_to(python) and INSTALLED not in file.parts
    return inside or any(file.is_relative_to(folder) for folder in torch_and_attnbench)
