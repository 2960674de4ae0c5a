"""Models of timm, which may be there or not."""

import sys
from types import SimpleNamespace

import pytest
from torch import nn

from attnbench.cases import zoo
from attnbench.cases.registry import discover
from attnbench.errors import AttnbenchError, UnsupportedGeometry
from attnbench.mechanism import Geometry

IMAGE = Geometry.image(64, 96)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """A timm with two models, one of which takes images of any size; what was asked of it."""
    asked: list[tuple[str, dict[str, object]]] = []

    def create_model(name: str, **settings: object) -> nn.Module:
        if name == "convnet" and "img_size" in settings:
            raise TypeError("unexpected keyword argument 'img_size'")
        asked.append((name, settings))
        return nn.Identity()

    fake = SimpleNamespace(
        create_model=create_model,
        is_model=lambda name: name in ("convnet", "vit"),
        list_models=lambda: ["convnet", "vit"],
    )
    monkeypatch.setitem(sys.modules, "timm", fake)
    return asked


def test_a_model_is_built_for_the_size_of_its_images(made: list[tuple[str, dict[str, object]]]):
    for name in ("vit", "convnet"):
        mechanism = zoo.timm_model(name)
        assert mechanism.is_model
        mechanism.build(IMAGE)
    plain = {"pretrained": False, "num_classes": 1000}
    assert made == [("vit", {**plain, "img_size": (64, 96)}), ("convnet", plain)]


@pytest.mark.usefixtures("made")
def test_a_name_that_timm_has_not_is_refused_with_the_nearest():
    with pytest.raises(UnsupportedGeometry, match=r"no model 'convnat'\. Did you mean 'convnet'\?"):
        zoo.timm_model("convnat").build(IMAGE)


def test_without_timm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(AttnbenchError, match=r"pip install 'attnbench\[models\]'"):
        zoo.timm_model("vit").build(IMAGE)


def test_its_code_is_the_version_of_timm(monkeypatch: pytest.MonkeyPatch):
    registry = discover()
    sources = []
    for version in ("1.0.1", "1.0.2"):
        monkeypatch.setattr(zoo, "version", lambda _, version=version: version)
        sources.append(registry.choose("timm/vit").source)
    assert len(set(sources)) == 2
    assert registry.choose("timm/vit").label == "timm/vit"
