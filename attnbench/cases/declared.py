"""What the files of the built-in mechanisms say of them, read as text: no torch, which would take seconds."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from attnbench.cases.choice import Choices
from attnbench.cases.source import source_of_module
from attnbench.mechanism import Setting

GROUP = "attnbench.mechanisms"
BUILTIN = "builtin"
BACKBONES = "backbones"  # the package of theirs that has the models
HOST = "/"  # between a backbone and what fills it
SETS = "SETS"  # what a package calls its own names for several mechanisms: {"mine": ("one", "other")}


@dataclass(frozen=True, slots=True)
class Declared:
    """What a mechanism's file says about it, and the `module` that the file is."""

    name: str
    title: str
    settings: Mapping[str, Setting]
    family: str
    module: str

    @property
    def is_model(self) -> bool:
        """Never: models are made of backbones."""
        return False


class Declarations(Choices[Declared]):
    """The built-in mechanisms as their files describe them: enough to plan a run by."""

    def __init__(self) -> None:
        self.sets: dict[str, tuple[str, ...]] = {}
        for entry in entry_points(group=GROUP, name=BUILTIN):
            self.sets |= getattr(entry.load(), SETS, {})  # the package itself, and none of its modules
        self.builtin = [*builtin(), *backbones()]
        self.backbones = backbones()

    def __getitem__(self, name: str) -> Declared:
        return builtin()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(builtin())

    def __len__(self) -> int:
        return len(builtin())

    def _source_of(self, mechanism: Declared) -> str:
        return source_of_module(mechanism.module)


def are_declared(words: Sequence[str]) -> bool:
    """Whether words name built-in layers alone, and no package of others could mean something by them."""
    known = builtin()
    others = any(entry.name != BUILTIN for entry in entry_points(group=GROUP))
    return not others and all(word.partition(":")[0] in known for word in words)


@cache
def builtin() -> Mapping[str, Declared]:
    """The built-in mechanisms by name."""
    return {
        declared.name: declared
        for package, folder in _folders()
        for file in sorted(folder.glob("[!_]*.py"))
        for declared in _declared_in(file, package)
    }


@cache
def backbones() -> tuple[str, ...]:
    """The names of the built-in backbones, by the list of their package."""
    files = [folder / BACKBONES / "__init__.py" for _, folder in _folders()]
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


def _folders() -> list[tuple[str, Path]]:
    """The packages of the built-in mechanisms, and their folders."""
    return [
        (entry.module, Path(folder))
        for entry in entry_points(group=GROUP, name=BUILTIN)
        if (spec := find_spec(entry.module))
        for folder in spec.submodule_search_locations or ()
    ]


def _declared_in(file: Path, package: str) -> Iterator[Declared]:
    """The mechanisms that are values at the top level of a file."""
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign(value=ast.Call(func=ast.Name(id="Mechanism"), keywords=keywords)):
                said = {word.arg: word.value for word in keywords}
                yield Declared(
                    name=ast.literal_eval(said["name"]),
                    title=ast.literal_eval(said["title"]),
                    settings=ast.literal_eval(said["settings"]) if "settings" in said else {},
                    family=ast.literal_eval(said["family"]) if "family" in said else "",
                    module=f"{package}.{file.stem}",
                )
