"""A mechanism's source: changes with the code that makes its numbers, and with no other."""

import hashlib
import json
from pathlib import Path
from types import ModuleType

import pytest

import attnbench.attention
import attnbench.errors
import attnbench.mechanism
import mechanisms.msa
from attnbench.cases.registry import discover
from attnbench.cases.source import source_of

MODULE = """
from functools import partial
from attnbench import Mechanism, Paper
{imports}
class {name}:
    def __init__(self, geometry, gain=1): ...

PAPER = Paper("On mine", "Here", 2026, "https://example.org")
{name}_ = Mechanism("{name}", "Mine", {build}, {macs}, PAPER)
"""
FILES = {
    "__init__.py": "",
    "own.py": MODULE.format(name="own", imports="from ._moves import roll", build="own", macs="roll"),
    "aliased.py": MODULE.format(name="aliased", imports="from . import _moves", build="aliased", macs="int"),
    "bound.py": MODULE.format(
        name="bound", imports="from ._price import macs\nfrom ._layers import Layer",
        build="partial(partial(Layer, gain=2), gain=3)", macs="partial(macs)",
    ),
    "attending.py": MODULE.format(
        name="attending", imports="from attnbench.attention import attend", build="attending", macs="int"
    ),
    "sized.py": MODULE.format(name="sized", imports="from ._sizes import WINDOW", build="sized", macs="int"),
    "late.py": MODULE.format(
        name="late", imports="def made(geometry):\n    from . import _sizes", build="made", macs="int"
    ),
    "_sizes.py": "WINDOW = 2\n",
    "_moves.py": "from ._deeper import shift\ndef roll(geometry): return 0\n",
    "_deeper.py": "from . import _moves\ndef shift(): ...\n",
    "_layers.py": "class Layer: ...\n",
    "_price.py": "def macs(geometry, gain): return 0\n",
}  # fmt: skip


@pytest.fixture
def package(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A plugin of several mechanisms, with moves that they share; named by the test, to be imported anew."""
    folder = tmp_path / f"pack_{abs(hash(request.node.nodeid))}"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize(
    ("mechanism", "file"),
    [
        ("own", "own.py"),
        ("own", "_moves.py"),
        ("own", "_deeper.py"),
        ("aliased", "_moves.py"),
        ("bound", "_layers.py"),
        ("bound", "_price.py"),
        ("sized", "_sizes.py"),
        ("late", "_sizes.py"),
    ],
)
def test_a_line_of_a_mechanism_or_of_what_it_uses_changes_its_source(
    package: Path, mechanism: str, file: str
):
    registry = discover([package])
    before = source_of(registry[mechanism])
    with (package / file).open("a") as code:
        code.write("# more\n")
    assert source_of(registry[mechanism]) != before


@pytest.mark.parametrize(
    ("mechanism", "file"), [("own", "bound.py"), ("own", "_layers.py"), ("attending", "_moves.py")]
)
def test_code_that_a_mechanism_does_not_use_leaves_its_source(package: Path, mechanism: str, file: str):
    registry = discover([package])
    before = source_of(registry[mechanism])
    (package / file).write_text("# all different\n")
    assert source_of(registry[mechanism]) == before


def test_the_attention_of_attnbench_belongs_to_those_who_use_it(
    package: Path, monkeypatch: pytest.MonkeyPatch
):
    registry = discover([package])
    before = {name: source_of(registry[name]) for name in ("attending", "own")}
    other = package / "other_attention.py"
    other.write_text("# all different\n")
    monkeypatch.setattr(attnbench.attention, "__file__", str(other))
    assert source_of(registry["attending"]) != before["attending"]
    assert source_of(registry["own"]) == before["own"]


@pytest.mark.parametrize("part", [attnbench.mechanism, attnbench.errors])
def test_no_other_part_of_attnbench_belongs_to_a_mechanism(
    package: Path, monkeypatch: pytest.MonkeyPatch, part: ModuleType
):
    registry = discover([package])
    before = source_of(registry["attending"])
    other = package / "other_part.py"
    other.write_text("# all different\n")
    monkeypatch.setattr(part, "__file__", str(other))
    assert source_of(registry["attending"]) == before


def test_the_same_code_has_the_same_source_in_another_place(tmp_path: Path):
    plugins = [tmp_path / "here.py", tmp_path / "there.py"]
    sources = []
    for path in plugins:
        path.write_text(MODULE.format(name="own", imports="", build="own", macs="int"))
        sources.append(source_of(discover([path])["own"]))
    assert sources[0] == sources[1]


def test_a_builtin_has_a_source_of_its_own():
    registry = discover()
    sources = {name: source_of(registry[name]) for name in ("msa", "hilo", "sra")}
    assert len(set(sources.values())) == 3
    assert all(len(source) == 12 for source in sources.values())


def test_a_builtin_has_the_source_that_kept_rows_have_of_the_same_files():
    files = [attnbench.attention.__file__, mechanisms.msa.__file__]
    code = b"".join(Path(file).read_bytes() for file in files)
    assert (
        discover().choose("msa").source
        == source_of(mechanisms.msa.msa)
        == hashlib.sha256(code).hexdigest()[:12]
    )


WRAPPER = """
{imports}
from attnbench import Mechanism, Paper

PAPER = Paper("On mine", "Here", 2026, "https://example.org")
mine = Mechanism("mine", "Mine", lambda geometry: {layer}(geometry), lambda geometry: 0, PAPER)
"""
NET = {
    "__init__.py": "from .layers import Attention\nfrom .others import *\nfrom .third import Third\n",
    "layers.py": "from ._base import Base\nimport {net}.blocks as b\nclass Attention(Base): part = b.Mlp\n",
    "_base.py": "class Base: ...\n",
    "blocks/__init__.py": "from ._mlp import Mlp\nfrom ._unused import Unused\n",
    "blocks/_mlp.py": "class Mlp: ...\n",
    "blocks/_unused.py": "class Unused: ...\n",
    "others.py": "class Other: ...\n",
    "third.py": "from json import loads\nclass Third: ...\n",
    "train.py": "",
}


@pytest.fixture
def net(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of somebody's layers that can be imported, named by the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return written(tmp_path / f"net_{abs(hash(request.node.nodeid))}")


def written(folder: Path) -> Path:
    for name, content in NET.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content.format(net=folder.name))
    return folder


def wrapped(folder: Path, imports: str, layer: str) -> Path:
    """A plugin of a few lines that makes a mechanism of a layer from elsewhere."""
    plugin = folder / "wrapper.py"
    plugin.write_text(WRAPPER.format(imports=imports, layer=layer))
    return plugin


def changes(plugin: Path, file: Path) -> bool:
    """Whether the source of a plugin's mechanism changes with a line in a file."""
    registry = discover([plugin])
    before = registry.choose("mine").source
    with file.open("a") as code:
        code.write("# more\n")
    return registry.choose("mine").source != before


STYLES = {
    "from its module": ("from {net}.layers import Attention", "Attention"),
    "from the package": ("from {net} import Attention", "Attention"),
    "by another name": ("from {net} import Attention as Theirs", "Theirs"),
    "of the package": ("import {net}", "{net}.Attention"),
    "of its module": ("import {net}.layers", "{net}.layers.Attention"),
    "of a module's alias": ("import {net}.layers as theirs", "theirs.Attention"),
    "of a module of the package": ("from {net} import layers", "layers.Attention"),
    "all names": ("from {net} import *", "Attention"),
    "when it is built": (
        "def late(geometry):\n    from {net}.layers import Attention\n    return Attention(geometry)", "late"
    ),
    "by a name in quotes": (
        "from importlib import import_module\nnet = import_module('{net}.layers')", "net.Attention"
    ),
}  # fmt: skip


@pytest.mark.parametrize("file", ["layers.py", "_base.py", "blocks/_mlp.py"])
@pytest.mark.parametrize("style", STYLES)
def test_a_wrapped_layer_and_what_that_is_made_of_belong_to_the_mechanism(
    tmp_path: Path, net: Path, style: str, file: str
):
    imports, layer = (text.format(net=net.name) for text in STYLES[style])
    assert changes(wrapped(tmp_path, imports, layer), net / file)


def test_a_layer_that_a_package_has_by_a_star_belongs_to_the_mechanism(tmp_path: Path, net: Path):
    plugin = wrapped(tmp_path, f"from {net.name} import Other", "Other")
    assert changes(plugin, net / "others.py")
    assert not changes(plugin, net / "layers.py")


@pytest.mark.parametrize("file", ["train.py", "others.py", "third.py", "blocks/_unused.py"])
@pytest.mark.parametrize("style", ["from its module", "from the package", "of the package", "of its module"])
def test_what_else_a_wrapped_package_has_does_not_belong_to_the_mechanism(
    tmp_path: Path, net: Path, style: str, file: str
):
    imports, layer = (text.format(net=net.name) for text in STYLES[style])
    assert not changes(wrapped(tmp_path, imports, layer), net / file)


def test_what_is_loaded_besides_changes_no_source(tmp_path: Path, net: Path):
    plugin = wrapped(tmp_path, f"from {net.name}.third import Third", "Third")
    before = discover([plugin]).choose("mine").source
    other = tmp_path / "other.py"
    other.write_text(
        f"import {net.name}.train\n" + MODULE.format(name="own", imports="", build="own", macs="int")
    )
    assert discover([other, plugin]).choose("mine").source == before


def test_the_standard_library_belongs_to_no_mechanism(
    tmp_path: Path, net: Path, monkeypatch: pytest.MonkeyPatch
):
    registry = discover([wrapped(tmp_path, f"from {net.name} import Third", "Third")])
    before = registry.choose("mine").source
    monkeypatch.setattr(json, "__file__", str(net / "train.py"))
    assert registry.choose("mine").source == before


def test_an_installed_package_counts_by_its_files_and_what_it_imports_by_its_version(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    site = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(str(site))
    net = written(site / f"net_{abs(hash(request.node.nodeid))}")
    tools = written(site / f"tools_{net.name}")
    (net / "_base.py").write_text(f"from {tools.name} import Third\nclass Base: ...\n")
    version = site / f"{tools.name}-1.dist-info" / "METADATA"
    version.parent.mkdir()
    version.write_text(f"Name: {tools.name}\nVersion: 1\n")
    plugin = wrapped(tmp_path, f"from {net.name} import Attention", "Attention")
    assert changes(plugin, net / "layers.py")
    assert not changes(plugin, tools / "third.py")
    before = discover([plugin]).choose("mine").source
    version.write_text(f"Name: {tools.name}\nVersion: 2\n")
    assert discover([plugin]).choose("mine").source != before


def test_a_line_of_the_file_that_names_a_mechanism_belongs_to_it_wherever_its_layer_is_from(
    tmp_path: Path, net: Path
):
    plugin = tmp_path / "names.py"
    imports = f"from {net.name}.layers import Attention"
    plugin.write_text(MODULE.format(name="mine", imports=imports, build="Attention", macs="Attention"))
    assert changes(plugin, plugin)


def test_two_plugins_of_one_name_in_two_folders_are_two_layers(tmp_path: Path):
    plugins = [tmp_path / folder / "mine.py" for folder in ("one", "two")]
    for plugin, name in zip(plugins, ("first", "second"), strict=True):
        plugin.parent.mkdir()
        plugin.write_text(MODULE.format(name=name, imports=f"# {name}", build=name, macs="int"))
    both = discover(plugins)
    for plugin, name in zip(plugins, ("first", "second"), strict=True):
        assert both.choose(name).source == discover([plugin]).choose(name).source
    assert both.choose("first").source != both.choose("second").source
