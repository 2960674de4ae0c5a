"""One door for mechanisms, and what it says when something cannot come in."""

import gc
import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from attnbench.cases import registry as registry_module
from attnbench.cases.declared import BUILTIN, GROUP
from attnbench.cases.registry import Registry, discover
from attnbench.errors import AttnbenchError
from attnbench.paper import in_table_order, published

PLUGIN = """
from attnbench import Mechanism, Paper
from torch import nn

{name} = Mechanism(
    name="{name}", title="Mine", build=lambda geometry, gain, flip, kind: nn.Identity(),
    macs=lambda geometry, **settings: 0, paper=Paper("On mine", "Here", 2026, "https://example.org"),
    settings={{"gain": 1.0, "flip": False, "kind": "a"}},
)
"""


@pytest.fixture(scope="module")
def builtins() -> Registry:
    return discover()


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN.format(name="mine"))
    return path


def test_the_builtins_begin_with_the_rows_of_table_iv(builtins: Registry):
    assert in_table_order(builtins)[: len(published())] == list(published())
    assert {name: builtins[name].title for name in published()} == {
        n: p.title for n, p in published().items()
    }


def test_every_builtin_is_of_the_table_or_of_a_set_of_those_since(builtins: Registry):
    layers = {*published(), *builtins.sets["modern"], "t-msa", "msa-rpe"}
    assert builtins.builtin == layers | builtins.backbones.keys()


def test_an_unknown_name_brings_the_closest_one(builtins: Registry):
    with pytest.raises(AttnbenchError, match=r"No mechanism is called 'hlio'\. Did you mean 'hilo'\?"):
        builtins.choose("hlio")
    with pytest.raises(AttnbenchError, match=r"No mechanism is called 'HiLo'\. Did you mean 'hilo'\?"):
        builtins["HiLo"]


def test_what_is_imported_first_is_searched_for_garbage_no_more_and_what_comes_later_is():
    gc.unfreeze()
    discover()
    frozen = gc.get_freeze_count()
    discover()
    assert gc.isenabled()
    assert 0 < gc.get_freeze_count() <= frozen


def test_a_name_may_carry_settings(builtins: Registry):
    choice = builtins.choose("hilo:window=4,alpha=1")
    assert choice.settings == {"alpha": 1.0, "window": 4, "pooled_queries": False}
    assert choice.label == "hilo:alpha=1.0,window=4"
    assert choice.title == "HiLo (alpha=1.0, window=4)"


def test_a_choice_knows_the_code_of_its_mechanism(plugin: Path):
    registry = discover([plugin])
    before, same = registry.choose("mine"), registry.choose("mine:gain=2")
    plugin.write_text(plugin.read_text() + "# edited")
    assert before.source == same.source != registry.choose("mine").source


def test_settings_that_equal_the_defaults_leave_no_trace_in_the_label(builtins: Registry):
    assert builtins.choose("hilo:alpha=0.9,window=4").label == "hilo:window=4"
    assert builtins.choose("hilo:alpha=0.90").label == "hilo"


def test_an_unknown_setting_brings_the_closest_one(builtins: Registry):
    with pytest.raises(AttnbenchError, match=r"hilo has no setting 'alfa'\. Did you mean 'alpha'\?"):
        builtins.choose("hilo:alfa=1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hilo:alpha=x", "alpha is 'x'; it must be a number"),
        ("hilo:window=2.5", "window is '2.5'; it must be a whole number"),
        ("hilo:alpha", "alpha is ''; it must be a number"),
        ("mine:flip=maybe", "flip is 'maybe'; it must be true or false"),
    ],
)
def test_an_ill_typed_setting_says_what_it_must_be(plugin: Path, text: str, says: str):
    with pytest.raises(AttnbenchError, match=says):
        discover([plugin]).choose(text)


def test_a_truth_value_is_read_as_one(plugin: Path):
    choose = discover([plugin]).choose
    assert choose("mine:flip=true").settings["flip"] is True
    assert choose("mine:flip=False").settings["flip"] is False
    assert choose("mine:kind=b").settings["kind"] == "b"


def labels(registry: Registry, text: str) -> list[str]:
    return [choice.label for choice in registry.choose_all(text)]


def test_a_range_of_a_setting_is_a_choice_a_value(builtins: Registry):
    choices = builtins.choose_all("hilo:alpha=0..1/0.1,window=2")
    alphas = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert [choice.settings["alpha"] for choice in choices] == alphas
    assert {choice.settings["window"] for choice in choices} == {2}
    assert {choice.source for choice in choices} == {builtins.choose("hilo").source}


def test_an_item_without_a_key_goes_on_with_the_key_before_it(builtins: Registry):
    assert labels(builtins, "hilo:window=1,3..4,14") == [
        "hilo:window=1", "hilo:window=3", "hilo:window=4", "hilo:window=14",
    ]  # fmt: skip


def test_lists_are_combined_with_the_last_key_fastest(builtins: Registry):
    assert labels(builtins, "hilo:alpha=0,0.5,window=3,4") == [
        "hilo:alpha=0.0,window=3", "hilo:alpha=0.0,window=4",
        "hilo:alpha=0.5,window=3", "hilo:alpha=0.5,window=4",
    ]  # fmt: skip
    assert labels(builtins, "hilo:window=3,4,alpha=0,0.5") == [
        "hilo:alpha=0.0,window=3", "hilo:alpha=0.5,window=3",
        "hilo:alpha=0.0,window=4", "hilo:alpha=0.5,window=4",
    ]  # fmt: skip


def test_a_value_that_is_written_twice_counts_once(builtins: Registry):
    assert labels(builtins, "hilo:alpha=0.5,0.50,0.9") == ["hilo:alpha=0.5", "hilo"]


def test_a_setting_that_is_no_number_takes_lists_and_no_ranges(plugin: Path):
    registry = discover([plugin])
    assert labels(registry, "mine:kind=b,1..3") == ["mine:kind=b", "mine:kind=1..3"]
    assert labels(registry, "mine:flip=false,true") == ["mine", "mine:flip=True"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hilo:window=2..3/0.5", r"window is '2\.5'; it must be a whole number"),
        ("hilo:alpha=0.5,x", "alpha is 'x'; it must be a number"),
        ("hilo:0.5", r"hilo has no setting '0\.5'\. Its settings: alpha, window"),
        ("hilo:window=7..2", "ends before it starts"),
    ],
)
def test_a_sweep_is_refused_as_its_values_are(builtins: Registry, text: str, says: str):
    with pytest.raises(AttnbenchError, match=says):
        builtins.choose_all(text)


@pytest.mark.parametrize("text", ["hilo:window=7,7", "hilo:alpha=0.5,window=2,7,7"])
def test_a_pair_is_refused_and_not_taken_for_a_list(builtins: Registry, text: str):
    with pytest.raises(AttnbenchError, match=r"7,7', one value twice; .* no setting is a pair"):
        builtins.choose_all(text)


def test_a_text_whose_default_has_a_comma_takes_them(tmp_path: Path):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN.format(name="mine").replace('"a"', '"7,7"'))
    registry = discover([path])
    (choice,) = registry.choose_all("mine:kind=14,7,gain=2")
    assert choice.settings == {"gain": 2.0, "flip": False, "kind": "14,7"}
    assert registry.choose(choice.label) == choice


def test_where_one_choice_is_needed_a_sweep_is_refused(builtins: Registry):
    with pytest.raises(
        AttnbenchError,
        match=r"'hilo:window=3\.\.5' means 3 choices, hilo:window=3 to hilo:window=5, where one is needed",
    ):
        builtins.choose("hilo:window=3..5")


def test_a_plugin_file_adds_its_mechanisms(plugin: Path):
    found = discover([plugin])
    assert found["mine"].title == "Mine"
    assert found.of(plugin) == ["mine"]
    assert found.keys() - discover().keys() == {"mine"}


def test_a_plugin_is_found_again_by_a_relative_path(plugin: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(plugin.parent)
    assert discover([Path(plugin.name)]).of(Path(plugin.name)) == ["mine"]


def beside(folder: Path, title: str) -> Path:
    """A plugin that takes its title from a file beside it, whose name it has in every folder."""
    folder.mkdir()
    (folder / "its_sibling.py").write_text(f"TITLE = {title!r}\n")
    plugin = folder / "plugin.py"
    code = "from its_sibling import TITLE\n" + PLUGIN.format(name=title).replace('"Mine"', "TITLE")
    plugin.write_text(code)
    return plugin


def test_a_plugin_imports_what_stands_beside_it_and_not_what_stands_beside_another(tmp_path: Path):
    before = list(sys.path)
    plugins = [beside(tmp_path / name, name) for name in ("one", "two")]
    found = discover(plugins)
    assert [found[name].title for name in ("one", "two")] == ["one", "two"]
    assert sys.path == before


def test_a_plugin_may_take_its_folder_out_of_the_path_itself(plugin: Path):
    plugin.write_text("import sys\nsys.path.pop(0)\n" + plugin.read_text())
    assert discover([plugin]).of(plugin) == ["mine"]


def test_what_stands_beside_a_plugin_belongs_to_its_mechanism_and_to_no_other(tmp_path: Path):
    plugins = [beside(tmp_path / name, name) for name in ("one", "two")]
    found = discover(plugins)
    first, second = (found.choose(name).source for name in ("one", "two"))
    (tmp_path / "one" / "its_sibling.py").write_text("TITLE = 'another'")
    assert found.choose("one").source != first
    assert found.choose("two").source == second


def test_a_module_of_python_is_not_taken_for_one_that_stood_beside_a_plugin(tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "json.py").write_text("")
    (other / "mine.py").write_text(PLUGIN.format(name="mine"))
    discover([beside(tmp_path / "one", "one"), other / "mine.py"])
    assert sys.modules["json"] is json


def test_a_package_is_walked_one_level_without_its_private_modules(tmp_path: Path):
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in ("one", "two", "_three"):
        (package / f"{name}.py").write_text(PLUGIN.format(name=f"mine{name}"))
    assert discover([package]).of(package) == ["mineone", "minetwo"]


def test_one_value_that_is_found_twice_is_no_clash(tmp_path: Path):
    again = tmp_path / "again.py"
    again.write_text("from mechanisms.msa import msa\nsame = msa\n")
    found = discover([again])
    assert found.keys() == discover().keys()
    assert found.of(again) == []


def test_a_name_that_clashes_names_both_origins(tmp_path: Path):
    clash = tmp_path / "clash.py"
    clash.write_text(PLUGIN.format(name="hilo"))
    with pytest.raises(AttnbenchError, match=r"Two mechanisms are called 'hilo'.*hilo\.py.*clash\.py"):
        discover([clash])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "does not exist"),
        ("def (", r"SyntaxError: .*line 1"),
        ("x = 1\nimport nothing_of_this_name", r"ModuleNotFoundError: .*bad\.py, line 2"),
        ("x = 1", "holds no mechanism"),
        (
            PLUGIN.format(name="mine").replace("1.0", "None"),
            r"imported: mine: the setting gain is None; .* \(bad\.py, line 5\)",
        ),
    ],
    ids=["missing", "syntax", "import", "empty", "setting"],
)
def test_a_plugin_that_cannot_come_in_says_why(tmp_path: Path, content: str | None, says: str):
    path = tmp_path / "bad.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AttnbenchError, match=says):
        discover([path])


def test_a_broken_package_of_a_third_party_does_not_stop_the_rest(monkeypatch: pytest.MonkeyPatch):
    entries = [EntryPoint("broken", "no_such_package", GROUP), EntryPoint(BUILTIN, "mechanisms", GROUP)]
    whole = discover()
    monkeypatch.setattr(registry_module, "entry_points", lambda group: entries)
    found = discover()
    assert found.keys() == whole.keys()
    assert len(found.problems) == 1
    assert "'broken' (no_such_package)" in found.problems[0]


def test_a_broken_builtin_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch):
    entries = [EntryPoint(BUILTIN, "no_such_package", GROUP)]
    monkeypatch.setattr(registry_module, "entry_points", lambda group: entries)
    with pytest.raises(ModuleNotFoundError):
        discover()
