"""One door for mechanisms: installed packages, single files and the built-ins come in through `discover`.

A plugin is a module with `Mechanism` values at its top level. Nothing registers itself. A package names its
module under the entry-point group `attnbench.mechanisms`; a file or a folder is given by its path.
"""

import gc
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from attnbench.backbone import Backbone
from attnbench.cases import zoo
from attnbench.cases.assignments import read_assignments
from attnbench.cases.choice import Choices
from attnbench.cases.classes import is_class, mechanism_of
from attnbench.cases.declared import BUILTIN, GROUP, HOST, SETS
from attnbench.cases.labels import closest, did_you_mean
from attnbench.cases.models import Model, Settings, filled, parts_of
from attnbench.cases.source import PLUGIN, source_of
from attnbench.errors import AttnbenchError
from attnbench.mechanism import Mechanism

OWN = Path(__file__).parents[1]  # the files of attnbench itself

Loaded = TypeVar("Loaded")
Value = TypeVar("Value", Mechanism, Backbone)


class Registry(Choices[Mechanism]):
    """Mechanisms by name, each with the file that it came from.

    Of `backbones` it makes models: `litv2-s/hilo` is one with a mechanism in its slots, `litv2-s` one with
    its own. They are not among its names.
    """

    def __init__(self, problems: Sequence[str] = ()) -> None:
        self.sets: dict[str, tuple[str, ...]] = {}
        self.builtin: set[str] = set()
        self.backbones: dict[str, Backbone] = {}
        self._models: dict[str, Model] = {}
        self._mechanisms: dict[str, Mechanism] = {}
        self._origins: dict[str, str] = {}
        self._modules: dict[str, str | None] = {}
        self.problems = tuple(problems)

    def __getitem__(self, name: str) -> Mechanism:
        if name in self._mechanisms:
            return self._mechanisms[name]
        host, _, filling = name.partition(HOST)
        if host in self.backbones:
            return self._model(self.backbones[host], filling)
        if host == zoo.TIMM and filling:
            return zoo.timm_model(filling)
        if HOST in name:
            raise AttnbenchError(
                f"No backbone is called {host!r}.{did_you_mean(closest(host, self.backbones))} "
                f"There are {', '.join(self.backbones)}, and timm with the models of timm."
            )
        file = f"{name}.py"
        here = f" The file {file} is here: name that." if Path(file).is_file() else ""
        nearest = did_you_mean(closest(name, [*self, *self.backbones]))
        raise AttnbenchError(
            f"No mechanism is called {name!r}.{here or nearest} `attnbench list @all` shows all of them; one "
            "of your own comes with --plugin FILE."
        )

    def _model(self, backbone: Backbone, filling: str) -> Model:
        """The backbone with a mechanism in its slots, or with its own."""
        name = f"{backbone.name}{HOST}{filling}"
        if name not in self._models:
            mixer = self[filling or backbone.filling]
            self._models[name] = filled(backbone, mixer, self.read, bare=not filling)
        return self._models[name]

    def read(self, word: str) -> tuple[Mechanism, Settings]:
        """A mechanism, and the settings that its word gives."""
        name, _, assignments = word.partition(":")
        read = read_assignments(self[name], assignments)
        return self[name], {key: value for key, (value,) in read.items()}

    def __contains__(self, name: object) -> bool:
        return name in self._mechanisms

    def __iter__(self) -> Iterator[str]:
        return iter(self._mechanisms)

    def __len__(self) -> int:
        return len(self._mechanisms)

    def add(self, mechanism: Mechanism, origin: str, module: str | None = None) -> None:
        """Enter a mechanism; the same value may come twice, two values of one name may not.

        `origin` is the file that it came from, and `module` the name of the module that this is.
        """
        self._enter(self._mechanisms, mechanism, origin, module)

    def add_backbone(self, backbone: Backbone, origin: str, module: str | None = None) -> None:
        """Enter a backbone, in the same way; it may not be called as a mechanism is."""
        self._enter(self.backbones, backbone, origin, module)

    def _enter(self, known: dict[str, Value], value: Value, origin: str, module: str | None) -> None:
        name = value.name
        other = self._mechanisms.get(name) or self.backbones.get(name)
        if other is not None and other is not value:
            raise AttnbenchError(
                f"Two mechanisms are called {name!r}: one in {self._origins[name]}, one in {origin}. Rename "
                "one of them."
            )
        known.setdefault(name, value)
        self._origins.setdefault(name, origin)
        self._modules.setdefault(name, module)

    def of(self, path: Path) -> list[str]:
        """The names that came from a plugin: a file, a folder, or a class."""
        if is_class(str(path)):
            return [name for name, origin in self._origins.items() if origin == str(path)]
        plugin = path.resolve()
        return [
            name for name, origin in self._origins.items() if Path(origin).resolve().is_relative_to(plugin)
        ]

    def _source_of(self, mechanism: Mechanism) -> str:
        """What stands for a mechanism's code; for a model's, for all that it is made of."""
        if mechanism.name.startswith(f"{zoo.TIMM}{HOST}"):
            return zoo.source()
        first, *others = [source_of(part, self._modules[part.name]) for part in parts_of(mechanism)]
        if not others:
            return first
        return hashlib.sha256(" ".join([first, *others]).encode()).hexdigest()[: len(first)]


def discover(plugins: Sequence[Path] = ()) -> Registry:
    """All mechanisms that are installed, and those of the given plugins: files, folders, `module:Class`.

    A third-party package that cannot be imported is left out and named in the registry's `problems`; a
    built-in that fails keeps its traceback, and a plugin that the user named is an `AttnbenchError`.
    """
    entries = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    modules: list[ModuleType] = []
    own: list[ModuleType] = []
    problems: list[str] = []
    with _here_to_stay():
        for entry in entries:
            if entry.name == BUILTIN:
                own.append(entry.load())
                continue
            try:
                modules.append(_guarded(entry.load, f"The plugin {entry.name!r} ({entry.value})"))
            except AttnbenchError as problem:
                problems.append(str(problem))
        modules += [_load_path(path) for path in plugins if not is_class(str(path))]

        registry = Registry(problems)
        for module in (*own, *modules):
            registry.sets |= getattr(module, SETS, {})
            for member, mechanism in _values_of(module, Mechanism):
                registry.add(mechanism, str(member.__file__), member.__name__)
            for member, backbone in _values_of(module, Backbone):
                registry.add_backbone(backbone, str(member.__file__), member.__name__)
        for module in own:
            registry.builtin |= {value.name for _, value in _values_of(module, Mechanism)}
            registry.builtin |= {value.name for _, value in _values_of(module, Backbone)}
        for text in filter(is_class, map(str, plugins)):
            found = mechanism_of(text)
            registry.add(found, text, text.partition(":")[0])
    return registry


@contextmanager
def _here_to_stay() -> Iterator[None]:
    """Look for no garbage in what the first modules make, now or later: torch's takes half a second."""
    if gc.get_freeze_count() or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _load_path(path: Path) -> ModuleType:
    """Import a plugin file, or a folder with an `__init__.py`, that must hold a mechanism or a backbone."""
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        raise AttnbenchError(f"The plugin {path} does not exist; give the path of a Python file.")
    name = _module_name(path.resolve())
    spec = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(path)] if path.is_dir() else None
    )
    if spec is None or spec.loader is None:
        raise AttnbenchError(f"The plugin {path} is not a Python file; its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader = spec.loader
    with nullcontext() if path.is_dir() else _siblings_importable(file.resolve().parent):
        _guarded(lambda: loader.exec_module(module), f"The plugin {path}")
    if not any(_values_of(module, Mechanism)) and not any(_values_of(module, Backbone)):
        raise AttnbenchError(
            f"The plugin {path} holds no mechanism; give it a `Mechanism(...)` value at its top level."
        )
    return module


@contextmanager
def _siblings_importable(folder: Path) -> Iterator[None]:
    """Let a plugin's file import those beside it, as it could where Python was started with it.

    What an earlier plugin imported from beside itself under a name that is here as well is forgotten.
    """
    plugins = [_file_of(module) for name, module in sys.modules.items() if name.startswith(PLUGIN)]
    others = {file.parent for file in plugins if file} - {folder}
    for name in [each for each in sys.modules if "." not in each and _has(folder, each)]:
        file = _file_of(sys.modules[name])
        if file and others & {file.parent, file.parent.parent}:
            for loaded in [each for each in sys.modules if f"{each}.".startswith(f"{name}.")]:
                del sys.modules[loaded]
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):  # a plugin may have taken it out
            sys.path.remove(str(folder))


def _has(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name).is_dir()


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


def _module_name(path: Path) -> str:
    """What the module of a plugin is called: two files of one name in two folders are two modules."""
    return f"{PLUGIN}{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _guarded(load: Callable[[], Loaded], what: str) -> Loaded:
    """Import a stranger's code, which may fail in any way, and say where it did."""
    try:
        return load()
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [frame for frame in frames if not frame.filename.startswith(("<", str(OWN)))]
        last = (theirs or frames)[-1]
        where = "" if isinstance(error, SyntaxError) else f" ({Path(last.filename).name}, line {last.lineno})"
        kind = "" if isinstance(error, AttnbenchError) else f"{type(error).__name__}: "
        raise AttnbenchError(
            f"{what} cannot be imported: {kind}{str(error).rstrip('.')}{where}. Mend it, or leave it out."
        ) from error


def _values_of(module: ModuleType, kind: type[Value]) -> Iterator[tuple[ModuleType, Value]]:
    """The values of a kind at a module's top level, and in a package's modules; `_private` ones left out."""
    for member in _modules_of(module):
        for value in vars(member).values():
            if isinstance(value, kind):
                yield member, value


def _modules_of(module: ModuleType) -> Iterator[ModuleType]:
    """A module and, of a package, all below it but `_private` ones."""
    yield module
    for submodule in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if not submodule.name.startswith("_"):
            name = f"{module.__name__}.{submodule.name}"
            yield from _modules_of(_guarded(partial(importlib.import_module, name), f"The module {name}"))
