"""Which code a mechanism is made of, as a short hash: measurements are kept until it changes."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from attnbench.mechanism import Mechanism

ATTENTION = "attnbench.attention"  # what attnbench itself adds to a layer


def source_of(mechanism: Mechanism) -> str:
    """Twelve digits that change with the mechanism's module, or one that it uses of its own package."""
    modules: dict[str, ModuleType] = {}
    for name in (_module_of(mechanism.build), _module_of(mechanism.macs)):
        _collect(name, modules)
    code = hashlib.sha256()
    for name in sorted(modules):
        code.update(Path(str(modules[name].__file__)).read_bytes())
    return code.hexdigest()[:12]


def _collect(name: str, modules: dict[str, ModuleType]) -> None:
    """Add the module of this name, and whatever it refers to in its own package."""
    if name in modules or not getattr(sys.modules.get(name), "__file__", None):
        return
    modules[name] = sys.modules[name]
    for used in _used_by(modules[name]):
        if used == ATTENTION or used.partition(".")[0] == name.partition(".")[0] != "attnbench":
            _collect(used, modules)


def _used_by(module: ModuleType) -> Iterator[str]:
    for value in vars(module).values():
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str):
            yield name


def _module_of(function: Callable[..., Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return function.__module__
