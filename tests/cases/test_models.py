"""Models: a backbone whose slots hold mechanisms, as one more mechanism of images."""

from pathlib import Path

import pytest
from torch import nn

from attnbench.cases.case import Mode, Workload
from attnbench.cases.models import Model, mixing_macs
from attnbench.cases.places import is_place, opened
from attnbench.cases.registry import Registry, discover
from attnbench.cases.sweep import sweep
from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.mechanism import Geometry, Mechanism

TINY = Path(__file__).parents[1] / "tiny_backbone.py"
IMAGE = Geometry.image(24, 16)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover([TINY])


def model(registry: Registry, word: str) -> Model:
    found = registry[word]
    assert isinstance(found, Model)
    return found


def standing(registry: Registry, word: str) -> list[tuple[str, dict[str, object]]]:
    """What stands in each slot of the model that a word chooses, with the settings that are not usual."""
    choice = registry.choose(word)
    mixers = [
        model(registry, choice.mechanism.name).mixer(slot, choice.settings)
        for slot in model(registry, choice.mechanism.name).slots(IMAGE, choice.settings)
    ]
    return [
        (
            mixer.mechanism.name,
            {key: value for key, value in mixer.settings.items() if value != mixer.mechanism.settings[key]},
        )
        for mixer in mixers
    ]


def test_a_backbone_alone_is_filled_with_its_own_layers_in_turn(registry: Registry):
    assert standing(registry, "tiny") == [("hilo", {"window": 1}), ("msa", {}), ("hilo", {"alpha": 0.5})]
    assert registry.choose("tiny").title == "Tiny"


def test_settings_go_to_the_filling_but_where_the_backbone_has_its_own(registry: Registry):
    assert standing(registry, "tiny/hilo:alpha=0.25,window=4") == [
        ("hilo", {"alpha": 0.25, "window": 1}),
        ("msa", {}),
        ("hilo", {"alpha": 0.5, "window": 4}),
    ]


def test_a_filling_that_the_backbone_does_not_name_stands_everywhere(registry: Registry):
    assert standing(registry, "tiny/xca") == [("xca", {})] * 3


def test_settings_are_those_of_both(registry: Registry):
    choice = registry.choose("tiny/hilo:gain=2.0,alpha=0.5")
    assert choice.label == "tiny/hilo:alpha=0.5,gain=2.0"
    assert choice.title == "Tiny / HiLo (alpha=0.5, gain=2.0)"


def test_a_closed_form_is_the_backbones_and_its_layers(registry: Registry):
    msa = registry["msa"]
    slot = Geometry(12, 3, 6, 4)
    one = msa.closed_form(slot)
    assert one is not None
    assert registry["tiny/msa"].closed_form(IMAGE, gain=1.0) == 24 * 48 * 12 + 12 * 1000 + 3 * one


def test_layers_that_are_alike_stand_together(registry: Registry):
    slot = Geometry(12, 3, 6, 4)
    two = model(registry, "tiny/xca").mixing(IMAGE, {})
    assert [(each.label, each.geometry, each.layers) for each in two] == [("xca", slot, 3)]
    own = model(registry, "tiny").mixing(IMAGE, registry["tiny"].settings)
    assert [(each.label, each.layers) for each in own] == [
        ("hilo:window=1", 1), ("msa", 1), ("hilo:alpha=0.5", 1),
    ]  # fmt: skip
    assert mixing_macs(own) == sum(each.macs or 0 for each in own) > 0


def test_what_a_mechanism_refuses_names_the_slot(registry: Registry):
    def refuse(geometry: Geometry) -> int:
        raise UnsupportedGeometry("No such map.")

    refusing = Mechanism("refusing", "Refusing", build=lambda geometry: nn.Identity(), macs=refuse)
    registry.add(refusing, "here")
    with pytest.raises(UnsupportedGeometry, match=r"In layer 1 of stage 1 \(6×4 tokens, .*\): No such map\."):
        registry["tiny/refusing"].closed_form(IMAGE)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("tiny/hill", "Did you mean 'hilo'"),
        ("tony/hilo", "No backbone is called 'tony'. Did you mean 'tiny'"),
        ("tiny/tiny", "is a model itself"),
    ],
)
def test_what_is_no_model_says_so(registry: Registry, word: str, says: str):
    with pytest.raises(AttnbenchError, match=says):
        registry[word]


def test_a_setting_of_both_is_refused(registry: Registry):
    layer = Mechanism("gained", "Gained", build=lambda geometry, gain: nn.Identity(), settings={"gain": 1.0})
    registry.add(layer, "here", "attnbench")
    with pytest.raises(AttnbenchError, match="both have a setting gain"):
        registry["tiny/gained"]


def test_a_model_stands_for_the_code_of_all_that_it_is_made_of(registry: Registry):
    sources = {word: registry.choose(word).source for word in ("tiny", "tiny/hilo", "tiny/msa", "tiny/xca")}
    assert sources["tiny"] == sources["tiny/hilo"]
    assert len(set(sources.values())) == 3
    assert registry.choose("hilo").source not in sources.values()


def test_a_slash_is_a_models_unless_there_is_such_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert not is_place("tiny/hilo:alpha=0.5")
    assert is_place("./tiny")
    assert is_place("tiny/hilo.py")
    (tmp_path / "tiny/hilo").mkdir(parents=True)
    assert is_place("tiny/hilo")


def test_a_file_of_a_backbone_stands_for_it():
    assert opened([str(TINY)], None).words == ["tiny"]


def test_models_and_layers_are_in_blocks_of_their_own(registry: Registry):
    choices = [registry.choose(word) for word in ("hilo", "tiny/hilo", "msa", "tiny/msa")]
    tokens = Geometry(768, 12, 14, 14)
    layers, models = sweep(choices, [tokens, IMAGE], ["cpu"], batches=[2])
    assert [case.label for case in layers.members] == ["hilo", "msa"]
    assert [case.label for case in models.members] == ["tiny/hilo", "tiny/msa"]
    assert models.cases[2].label == "tiny/msa"  # the baseline's twin
    assert models.name == "cpu 24x16 images batch 2"


def test_images_have_a_shape_and_words_of_their_own():
    workload = Workload(IMAGE, 8, Mode.inference)
    assert workload.shape == (8, 3, 24, 16)
    assert workload.output_shape == (8, 1000)
    assert workload.spelled == "images of 24×16 pixels"
    tokens = Workload(Geometry(48, 3, 4, 6), 8, Mode.inference)
    assert tokens.shape == tokens.output_shape == (8, 24, 48)
