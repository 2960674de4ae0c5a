"""The built-in mechanisms by the text of their files, beside what the registry imports."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from attnbench.cases import declared
from attnbench.cases.choice import Choices
from attnbench.cases.declared import BUILTIN, GROUP, Declarations, are_declared
from attnbench.cases.registry import Registry, discover
from attnbench.errors import AttnbenchError
from attnbench.measuring.catalogue import opened_to_plan, sets


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def test_their_code_has_the_digits_that_the_imported_ones_have(registry: Registry):
    said = Declarations()
    assert list(said) == list(registry)
    assert {name: said.choose(name).source for name in said} == {
        name: registry.choose(name).source for name in registry
    }


def test_words_mean_the_same_by_text(registry: Registry):
    word = "hilo:alpha=0..1/0.5,window=4"
    ours, theirs = Declarations().choose_all(word), registry.choose_all(word)
    assert [(each.label, each.title, each.settings) for each in ours] == [
        (each.label, each.title, each.settings) for each in theirs
    ]
    with pytest.raises(AttnbenchError, match=r"hilo has no setting 'alfa'\. Did you mean 'alpha'\?"):
        Declarations().choose("hilo:alfa=1")


def test_sets_are_the_same_by_text(registry: Registry):
    said = sets(Declarations())
    assert {name: sorted(members) for name, members in said.items()} == {
        name: sorted(members) for name, members in sets(registry).items()
    }


@pytest.mark.parametrize("words", [[], ["msa", "hilo:alpha=0..1/0.5"], ["@modern"], ["h*", "m*"]])
def test_a_plan_of_builtin_layers_imports_none_of_them(words: list[str]):
    assert isinstance(opened(words), Declarations)


@pytest.mark.parametrize(
    "words", [["litv2-s"], ["vit-b16/hilo"], ["@models"], ["litv2-*"], ["@all", "litv2-s"]]
)
def test_a_plan_with_models_imports_their_backbones(words: list[str]):
    assert isinstance(opened(words), Registry)


def test_a_name_that_nobody_has_is_looked_for_in_what_is_imported():
    with pytest.raises(AttnbenchError, match="No mechanism is called 'hlio'"):
        opened(["hlio"]).choose("hlio")
    assert isinstance(opened(["msa"], baseline="hlio"), Registry)


def test_a_plugin_and_a_class_are_imported():
    plugin = str(Path(__file__).parents[1] / "identical.py")
    assert isinstance(opened([plugin, "msa"]), Registry)
    assert isinstance(opened(["msa"], plugin), Registry)


def test_where_somebody_elses_package_is_installed_everything_is_imported(monkeypatch: pytest.MonkeyPatch):
    assert are_declared(["msa"])
    both = [EntryPoint("other", "package_of_another", GROUP), EntryPoint(BUILTIN, "mechanisms", GROUP)]
    monkeypatch.setattr(declared, "entry_points", lambda group: both)
    assert not are_declared(["msa"])


def opened(words: list[str], *plugins: str, baseline: str | None = None) -> Choices[Any]:
    """What a plan of these words is read from."""
    return opened_to_plan(words, [Path(plugin) for plugin in plugins], baseline).registry
