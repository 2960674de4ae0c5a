"""What a layer raised, in a line, and where in its author's code."""

import sys
import sysconfig
from pathlib import Path
from traceback import walk_tb

import torch

OTHERS = tuple(
    str(Path(place).resolve())
    for place in (Path(torch.__file__).parent, Path(__file__).parents[1], sysconfig.get_path("stdlib"))
)
"""Folders of code that no layer's author has written; a layer may be installed below the last of them."""


def told(error: BaseException) -> str:
    """The kind of an error and its first line, and behind it the file and line of the layer, if any."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}{place_of(error)}"


def place_of(error: BaseException) -> str:
    """` (my_attention.py, line 12)`: the last line of a layer's own code that an error went through."""
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    own = [(file, line) for file, line in frames if _is_own(file)]
    return f" ({Path(own[-1][0]).name}, line {own[-1][1]})" if own else ""


def _is_own(file: str) -> bool:
    path = str(Path(file).resolve())
    if file.startswith("<") or path.startswith(OTHERS[:2]):
        return False
    return "site-packages" in path or not path.startswith((OTHERS[2], sys.prefix))
