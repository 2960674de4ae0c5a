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


@dataclass(frozen=True, slots=True)
class Declared:
    """What a mechanism's file says about it."""

    title: str
    settings: Mapping[str, Setting]
    family: str


@cache
def builtin() -> Mapping[str, Declared]:
    """The built-in mechanisms by name."""
    specs = [find_spec(entry.module) for entry in entry_points(group=GROUP, name=BUILTIN)]
    folders = [folder for spec in specs if spec for folder in spec.submodule_search_locations or ()]
    files = [file for folder in folders for file in sorted(Path(folder).glob("[!_]*.py"))]
    return dict(declared for file in files for declared in _declared_in(file))


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
