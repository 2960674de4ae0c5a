"""Which code a mechanism is made of, as a short hash: measurements are kept until it changes."""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from attnbench.backbone import Backbone
from attnbench.mechanism import Mechanism

ATTENTION = "attnbench.attention"  # what attnbench itself adds to a layer
PLUGIN = "attnbench_plugin_"  # how the module of a plugin that is given by its path begins
ASIDE = {"attnbench", "torch", *sys.stdlib_module_names}  # a record has their versions by itself
BY_VERSION = {
    "cv2", "flash_attn", "jax", "matplotlib", "numpy", "pandas", "PIL", "scipy", "skimage", "sklearn",
    "tensorflow", "torchaudio", "torchvision", "transformers", "triton", "xformers",
}  # fmt: skip
"""Libraries of so many files that their version must stand for them."""
INSTALLED = {"site-packages", "dist-packages"}


def source_of(mechanism: Mechanism | Backbone, module: str | None = None) -> str:
    """Twelve digits that change with the code behind a mechanism: its own, and what that imports.

    Files count that hold what builds the layer and its closed form, and the `module` that its value stands
    in; then, one after the other, those that these import names from, wherever they lie: in a package of
    one's own, in one that is installed, or beside a plugin. Of a package's `__init__` only what it says about
    the names that are taken from it is gone after. torch and the standard library stand aside, a large
    library counts by its version, and so does whatever an installed package imports in turn.

    It is read off the text of the files. To build the layer and ask its submodules where they are from would
    need a size that it takes, memory, and a run of a stranger's code before anything is said; to ask what is
    loaded would depend on what else was. What is imported under a name that is put together when the layer is
    built is therefore missed, but for a new version of its package.
    """
    return _digest(module, [_module_of(made) for made in (mechanism.build, mechanism.macs) if made])


def source_of_module(module: str) -> str:
    """The same of a mechanism that stands in this module, which need not be loaded.

    What builds it must stand there too, or in modules that this one imports.
    """
    return _digest(module, [])


@dataclass(frozen=True, slots=True)
class _Text:
    """What a file says, in dotted names: which it `uses` of others, and what its own names stand for.

    `imported` are those that it has from elsewhere, `stars` the modules of which it has all, and `defined`
    its own.
    """

    uses: frozenset[str] = frozenset()
    imported: Mapping[str, frozenset[str]] = field(default_factory=dict)
    stars: frozenset[str] = frozenset()
    defined: frozenset[str] = frozenset()

    def may_have(self, name: str) -> bool:
        return name in self.imported or name in self.defined or bool(self.stars)


@dataclass(frozen=True, slots=True)
class _Place:
    """A module: its Python file, where it has one, and the folders of its submodules, where it has any."""

    name: str
    file: Path | None
    folders: tuple[Path, ...]

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    @property
    def is_installed(self) -> bool:
        return any(INSTALLED & set(path.parts) for path in (self.file, *self.folders) if path)

    def text(self) -> _Text:
        if self.file is None:
            return _Text()
        return _read(self.file.read_bytes(), self.name if self.folders else self.name.rpartition(".")[0])


class _Code:
    """The files behind a mechanism, and the versions of what counts by those."""

    def __init__(self, module: str | None) -> None:
        self.beside = _folder_beside(module)
        self.own: set[str] = set()
        self.files: dict[str, Path] = {}
        self.versions: dict[str, str] = {}
        self.seen: set[str] = set()

    def add(self, name: str) -> None:
        """Count the module of this name, and all that it leads to."""
        self.own.add(name.partition(".")[0])
        waiting = [name]
        while waiting:
            name = waiting.pop()
            if name not in self.seen:
                self.seen.add(name)
                waiting += self._count(name)

    def digest(self) -> str:
        code = hashlib.sha256()
        for name in sorted(self.files):
            code.update(self.files[name].read_bytes())
        for top in sorted(self.versions):
            code.update(f"{top} {self.versions[top]}".encode())
        return code.hexdigest()

    def _count(self, name: str) -> Iterator[str]:
        """Count the file that a name is taken from; the names behind it whose files count, too."""
        place, attributes = self._locate(name)
        if place is None:
            return
        if place.file:
            self.files[place.name] = place.file
        is_own = place.top in self.own or not place.is_installed
        if not is_own:
            self._count_version(place.top)
        text = place.text()
        for imported in self._behind(text, *attributes) if place.folders and attributes else text.uses:
            top = imported.partition(".")[0]
            if top == place.top or f"{imported}.".startswith(f"{ATTENTION}."):
                yield imported
            elif top in BY_VERSION or not (is_own or top in ASIDE):
                self._count_version(top)
            elif top not in ASIDE:
                yield imported

    def _behind(self, text: _Text, name: str, *rest: str) -> frozenset[str]:
        """What a package takes a name from; all that it uses, where it makes the name or does not say."""
        taken = text.imported.get(name, frozenset())
        if not taken and name not in text.defined:
            taken = frozenset(f"{star}.{name}" for star in text.stars if self._may_have(star, name))
        if not taken or name in text.defined:
            return text.uses
        return frozenset(".".join([target, *rest]) for target in taken)

    def _may_have(self, module: str, name: str) -> bool:
        place, attributes = self._locate(module)
        return place is not None and not attributes and place.text().may_have(name)

    def _count_version(self, top: str) -> None:
        if top not in self.versions:
            self.versions[top] = _version(top)

    def _locate(self, name: str) -> tuple[_Place | None, list[str]]:
        """The place of the longest part of a dotted name that is a module, and the rest of the name."""
        first, *rest = name.split(".")
        sibling = _among([self.beside], first, first) if self.beside else None
        place = sibling or _loaded(first) or _found(first)
        while place and rest:
            inner = f"{place.name}.{rest[0]}"
            deeper = (None if sibling else _loaded(inner)) or _among(place.folders, rest[0], inner)
            if deeper is None:
                break
            place, rest = deeper, rest[1:]
        return place, rest


def _folder_beside(module: str | None) -> Path | None:
    """The folder whose files a plugin's file imports by their bare names."""
    place = _loaded(module) if module and module.startswith(PLUGIN) else None
    return place.file.parent if place and place.file and "." not in place.name and not place.folders else None


def _loaded(name: str) -> _Place | None:
    module = sys.modules.get(name)
    if module is None:
        return None
    file = _python(getattr(module, "__file__", None))  # a built-in module has none
    return _Place(name, file, tuple(map(Path, getattr(module, "__path__", None) or ())))


@cache
def _found(top: str) -> _Place | None:
    """A package that is not loaded, and is not for this."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    return _Place(top, _python(spec.origin), tuple(map(Path, spec.submodule_search_locations or ())))


def _among(folders: Iterable[Path], name: str, full_name: str) -> _Place | None:
    """The module of this name in one of the folders."""
    for folder in folders:
        if (file := folder / name / "__init__.py").is_file():
            return _Place(full_name, file, (file.parent,))
        if (file := folder / f"{name}.py").is_file():
            return _Place(full_name, file, ())
    spaces = tuple(folder / name for folder in folders if (folder / name).is_dir())
    return _Place(full_name, None, spaces) if spaces else None


def _python(file: str | None) -> Path | None:
    return Path(file) if file and file.endswith(".py") else None


def _version(top: str) -> str:
    try:
        return version(top)
    except PackageNotFoundError:
        return "of no known version"


@cache  # mechanisms share files
def _read(code: bytes, package: str) -> _Text:
    """Read a file of a package; of one that is not Python nothing is known."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError):
        return _Text()
    imported: dict[str, set[str]] = {}
    stars: set[str] = set()
    whole: set[str] = set()  # by `import a.b`, which is the name a
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                imported.setdefault(alias.asname or top, set()).add(alias.name if alias.asname else top)
                whole.update([] if alias.asname else [alias.name])
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            for alias in node.names:
                if alias.name == "*":
                    stars.add(base)
                else:
                    imported.setdefault(alias.asname or alias.name, set()).add(f"{base}.{alias.name}")
        elif isinstance(node, ast.Call):
            whole.update(_import_in_quotes(node))
    return _Text(
        frozenset(_uses(nodes, imported, whole) | stars),
        {name: frozenset(targets) for name, targets in imported.items()},
        frozenset(stars),
        frozenset(_defined(nodes)),
    )


def _uses(nodes: Iterable[ast.AST], imported: Mapping[str, set[str]], whole: Iterable[str]) -> set[str]:
    """The dotted names that a file uses of what it imports: a.b.c where it says so, and else a."""
    chains = _chains(nodes, imported)
    uses: set[str] = set()
    for name, targets in imported.items():
        said = chains.get(name, () if name in targets else ("",))
        uses.update(f"{target}{chain}" for target in targets for chain in said)
    return uses | {name for name in whole if not any(f"{use}.".startswith(f"{name}.") for use in uses)}


def _import_in_quotes(call: ast.Call) -> Iterator[str]:
    """The module that `import_module("a.b")` imports."""
    if isinstance(call.func, ast.Name | ast.Attribute) and call.args:
        name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
        module = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
        if name == "import_module" and isinstance(module, str) and not module.startswith("."):
            yield module


def _base(node: ast.ImportFrom, package: str) -> str:
    relative = "." * node.level + (node.module or "")
    if not node.level:
        return relative
    try:
        return importlib.util.resolve_name(relative, package)
    except ImportError:  # beyond the top
        return node.module or package


def _chains(nodes: Iterable[ast.AST], names: Container[str]) -> dict[str, set[str]]:
    """How names go on in a file, `.b.c` for a.b.c; with nothing where one stands by itself."""
    chains: dict[str, set[str]] = {}
    inner: set[int] = set()
    for node in nodes:  # from the outside in
        if id(node) in inner or not isinstance(node, ast.Name | ast.Attribute):
            continue
        chain, root = "", cast(ast.expr, node)
        while isinstance(root, ast.Attribute):
            chain, root = f".{root.attr}{chain}", root.value
            inner.add(id(root))
        if isinstance(root, ast.Name) and root.id in names:
            chains.setdefault(root.id, set()).add(chain)
    return chains


def _defined(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The names that a file gives to something of its own."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _digest(module: str | None, makers: Sequence[str]) -> str:
    code = _Code(module)
    for name in (module, *makers):
        if name and name.partition(".")[0] not in ASIDE:
            code.add(name)
    return code.digest()[:12]


def _module_of(function: Callable[..., Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return function.__module__
