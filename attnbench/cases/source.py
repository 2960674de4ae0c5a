"""Which code a mechanism is made of, as a short hash: measurements are kept until it changes."""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from attnbench.mechanism import Mechanism

ATTENTION = "attnbench.attention"  # what attnbench itself adds to a layer


def source_of(mechanism: Mechanism) -> str:
    """Twelve digits that change with the mechanism's module, or one that it imports of its own package."""
    files: dict[str, Path] = {}
    for name in (_module_of(mechanism.build), _module_of(mechanism.macs)):
        _collect(name, files)
    code = hashlib.sha256()
    for name in sorted(files):
        code.update(files[name].read_bytes())
    return code.hexdigest()[:12]


def _collect(name: str, files: dict[str, Path]) -> None:
    """Add the file of the module of this name, and of what that imports of its own package."""
    file = _file_of(name)
    if name in files or file is None:
        return
    files[name] = file
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for imported in _imports(file.read_bytes(), package):
        if imported == ATTENTION or imported.partition(".")[0] == name.partition(".")[0]:
            _collect(imported, files)


@cache  # mechanisms share files
def _imports(code: bytes, package: str) -> frozenset[str]:
    """All names that code of a package imports anywhere: modules, and what may be a module in a package."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(relative, package) if node.level else relative
            names.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return frozenset(names)


def _file_of(name: str) -> Path | None:
    """The Python file of a module; None where the name is not that of one."""
    if name in sys.modules:
        file = getattr(sys.modules[name], "__file__", None)  # a built-in module has none
    else:
        try:
            spec = importlib.util.find_spec(name)
        except ImportError:
            return None
        file = spec.origin if spec else None
    return Path(file) if file and file.endswith(".py") else None


def _module_of(function: Callable[..., Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return function.__module__
