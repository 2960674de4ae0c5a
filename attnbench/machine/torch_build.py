"""What torch was built for, as its files say: to import torch and ask takes seconds."""

import ast
import ctypes
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

CUDA_DRIVER = {"win32": "nvcuda.dll"}
"""The library of NVIDIA's driver, by platform."""


@cache
def versions() -> Mapping[str, str | None]:
    """The values of `torch.version`, such as `cuda`, which is None in a build without it; none if unknown."""
    spec = find_spec("torch")
    file = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    if file is None or not file.is_file():
        return {}
    values: dict[str, str | None] = {}
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str() | None as value))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str() | None as value))
            ):
                values[name] = value
    return values


def is_without(*names: str) -> bool:
    """Whether this torch was built for none of these."""
    return all(versions().get(name, "") is None for name in names)


def is_loaded() -> bool:
    """Whether torch is there to be asked in no time."""
    return "torch" in sys.modules


def has_cuda_driver() -> bool:
    """Whether this machine has NVIDIA's driver, without which no CUDA device is seen."""
    try:
        ctypes.CDLL(CUDA_DRIVER.get(sys.platform, "libcuda.so.1"))
    except OSError:
        return False
    return True
