"""What the files of the built-in mechanisms say of them, read as text: no torch, which would take seconds."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from attnbench.mechanism import Setting

GROUP = "attnbench.mechanisms"
BUILTIN = "builtin"
BACKBONES = "backbones"  # the package of theirs that has the models
HOST = "/"  # between a backbone and what fills it


@dataclass(frozen=True, slots=True)
class Declared:
    """What a mechanism's file says about it."""

    title: str
    settings: Mapping[str, Setting]
    family: str


@cache
def builtin() -> Mapping[str, Declared]:
    """The built-in mechanisms by name."""
    files = [file for folder in _folders() for file in sorted(folder.glob("[!_]*.py"))]
    return dict(declared for file in files for declared in _declared_in(file))


@cache
def backbones() -> tuple[str, ...]:
    """The names of the built-in backbones, by the list of their package."""
    files = [folder / BACKBONES / "__init__.py" for folder in _folders()]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    lists = [
        ast.literal_eval(statement.value)
        for tree in trees
        for statement in tree.body
        if isinstance(statement, ast.Assign) and "__all__" in map(ast.unparse, statement.targets)
    ]
    return tuple(name.replace("_", "-") for names in lists for name in names)


def is_builtin(name: str) -> bool:
    """Whether a mechanism or a model is made of nothing that does not come with attnbench."""
    host, slash, filling = name.partition(HOST)
    if host not in backbones():
        return name in builtin()
    return not slash or filling in builtin()


def _folders() -> list[Path]:
    """The folders of the built-in mechanisms."""
    specs = [find_spec(entry.module) for entry in entry_points(group=GROUP, name=BUILTIN)]
    return [Path(folder) for spec in specs if spec for folder in spec.submodule_search_locations or ()]


def _declared_in(file: Path) -> Iterator[tuple[str, Declared]]:
    """The mechanisms that are values at the top level of a file."""
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign(value=ast.Call(func=ast.Name(id="Mechanism"), keywords=keywords)):
                said = {word.arg: word.value for word in keywords}
                settings = ast.literal_eval(said["settings"]) if "settings" in said else {}
                family = ast.literal_eval(said["family"]) if "family" in said else ""
                title = ast.literal_eval(said["title"])
                yield ast.literal_eval(said["name"]), Declared(title, settings, family)
