"""A mechanism's source: changes with the code that makes its numbers, and with no other."""

from pathlib import Path
from types import ModuleType

import pytest

import attnbench.attention
import attnbench.errors
import attnbench.mechanism
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
