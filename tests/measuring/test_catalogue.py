"""Choices with prices, from closed forms."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from attnbench import AttnbenchError, Branch, Geometry, UnsupportedGeometry
from attnbench.cases.places import slug
from attnbench.cases.registry import Registry, discover
from attnbench.measuring.catalogue import chosen, entries, points, sets, words_of
from attnbench.measuring.cost import count
from attnbench.mechanism import FAMILIES
from attnbench.paper import published
from attnbench.records.cost import choices_of, divided, points_of


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def square(side: int) -> Geometry:
    return Geometry(768, 12, side, side)


def test_texts_and_sweeps_that_mean_the_same_choice_count_once(registry: Registry):
    asked = ["hilo:window=2..4", "msa", "hilo", "hilo:alpha=0.9,window=4"]
    assert [choice.label for choice in chosen(registry, asked)] == [
        "hilo", "hilo:window=3", "hilo:window=4", "msa",
    ]  # fmt: skip


@pytest.mark.parametrize("asked", [None, []])
def test_everything_is_chosen_where_nothing_is_asked_for(registry: Registry, asked: list[str] | None):
    assert [choice.label for choice in chosen(registry, asked)] == list(published())


def test_sets_stand_for_their_mechanisms(registry: Registry):
    assert words_of(registry, "@table-iv") == list(published())
    assert words_of(registry, "@all")[:14] == list(published())
    assert {"xca", "linformer", "performer"} <= set(words_of(registry, "@linear"))
    assert words_of(registry, "hilo:alpha=0.5") == ["hilo:alpha=0.5"]
    families = [registry[name].family for name in words_of(registry, "@windows")]
    assert set(families) == {"windows"}


def test_every_builtin_mechanism_has_a_family_and_so_a_set(registry: Registry):
    members = {name for family in FAMILIES for name in sets(registry).get(slug(family), ())}
    assert members == registry.builtin - registry.backbones.keys()


def test_a_set_that_there_is_not_gets_the_nearest(registry: Registry):
    with pytest.raises(
        AttnbenchError, match=r"called '@liner'. Did you mean '@linear'\? There are @all, @tab"
    ):
        chosen(registry, ["@liner"])


def test_a_plugin_names_sets_of_its_own(tmp_path: Path):
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "from torch import nn\nfrom attnbench import Mechanism\n"
        "mine = Mechanism('mine', 'Mine', lambda geometry: nn.Identity())\n"
        "SETS = {'ours': ('mine', 'msa')}\n"
    )
    assert words_of(discover([plugin]), "@ours") == ["mine", "msa"]


def test_without_names_plugins_join_table_iv_and_other_builtins_do_not(tmp_path: Path):
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "from torch import nn\nfrom attnbench import Mechanism\n"
        "mine = Mechanism('mine', 'Mine', lambda geometry: nn.Identity())\n"
    )
    registry = discover([plugin])
    registry.builtin.add("mine")
    assert "mine" not in [choice.label for choice in chosen(registry, None)]
    assert [choice.label for choice in chosen(discover([plugin]), None)][-1] == "mine"


def test_weights_that_are_not_drawn_change_no_cost(registry: Registry):
    geometry = Geometry(48, 6, 7, 9)
    for entry in entries(chosen(registry, None), geometry):
        choice = entry.choice
        cost = count(choice.mechanism.build(geometry, **choice.settings), geometry)
        assert (entry.params, entry.macs) == (cost.params, cost.macs), choice.label


def test_weights_are_drawn_again_after_a_count(registry: Registry):
    entries([registry.choose("msa")], square(7))
    assert torch.empty(9).normal_().std() > 0
    assert torch.empty(9).uniform_().std() > 0


@pytest.mark.parametrize("geometry", [square(1000), Geometry(2**20, 16, 2, 2)])
def test_a_layer_that_no_machine_could_hold_has_a_price(registry: Registry, geometry: Geometry):
    msa = registry.choose("msa")
    (entry,) = entries([msa], geometry)
    assert entry.macs == msa.mechanism.closed_form(geometry)


@pytest.mark.parametrize("s", [2, 4, 7])
def test_the_branches_of_an_equal_split_cost_what_the_paper_says(registry: Registry, s: int):
    n, d = 56**2, 768
    (point,) = points([registry.choose(f"hilo:alpha=0.5,window={s}")], [square(56)])
    assert point.branch("Hi-Fi") == 7 * n * d**2 // 4 + s**2 * n * d
    assert point.branch("Lo-Fi") == 3 * n * d**2 // 4 + n * d**2 // s**2 + n**2 * d // s**2
    assert point.macs == point.branch("Hi-Fi") + point.branch("Lo-Fi")
    assert [branch.heads for branch in point.branches] == [6, 6]


def test_a_map_that_a_closed_form_refuses_has_a_reason_and_no_cost(registry: Registry):
    def macs(geometry: Geometry) -> int:
        if geometry.height < 14:
            raise UnsupportedGeometry("too small")
        return 1

    msa = registry.choose("msa")
    small, large = points(
        [replace(msa, mechanism=replace(msa.mechanism, macs=macs))], [square(7), square(14)]
    )
    assert (small.macs, small.refusal) == (None, "too small")
    assert (large.macs, large.refusal) == (1, None)


def test_only_choices_whose_branches_share_the_work_are_divided(registry: Registry):
    found = points(
        [*registry.choose_all("hilo:alpha=0,0.5,1,window=1,2"), registry.choose("msa")], [square(4)]
    )
    assert [choice.label for choice in divided(found)] == ["hilo:alpha=0.5"]


def test_points_of_a_choice_are_sorted_by_size(registry: Registry):
    found = points([registry.choose("msa"), registry.choose("sra")], [square(28), square(7), square(14)])
    assert [choice.label for choice in choices_of(found)] == ["msa", "sra"]
    mine = points_of(registry.choose("sra"), found)
    assert [(point.choice.label, point.geometry.size) for point in mine] == [
        ("sra", "7x7"), ("sra", "14x14"), ("sra", "28x28"),
    ]  # fmt: skip


def test_heads_that_do_not_divide_the_channels_are_a_refusal_of_those_that_share_them(registry: Registry):
    choices, geometry = chosen(registry, ["msa", "van", "hilo"]), Geometry(100, 8, 3, 4)
    refusal = "8 heads do not divide 100 channels; choose --heads so that they do."
    assert [entry.refusal for entry in entries(choices, geometry)] == [refusal, None, refusal]
    assert [point.refusal for point in points(choices, [geometry])] == [refusal, None, refusal]


def test_what_a_layer_raises_is_told_with_the_line_of_its_own_file(registry: Registry):
    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("not today")

    def refuses(geometry: Geometry) -> nn.Module:
        raise AssertionError("not today")

    msa = registry.choose("msa")
    for build, kind in ((lambda geometry: Fails(), "ValueError"), (refuses, "AssertionError")):
        (entry,) = entries([replace(msa, mechanism=replace(msa.mechanism, build=build))], square(4))
        assert re.fullmatch(rf"{kind}: not today \(test_catalogue\.py, line \d+\)", entry.refusal or "")


def test_branches_may_have_heads_of_a_width_of_their_own(registry: Registry):
    half = Branch("Half", macs=lambda geometry: 1, channels=lambda geometry: geometry.dim // 2)
    van = registry.choose("van")
    branched = replace(van, mechanism=replace(van.mechanism, branches=(half, half)))
    for found in (entries([branched], Geometry(100, 8, 3, 4)), points([branched], [Geometry(100, 8, 3, 4)])):
        assert [branch.heads for branch in found[0].branches] == [4, 4]
