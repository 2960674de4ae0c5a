"""Models are counted, predicted, weighed and asked as layers are, on images."""

from pathlib import Path

import pytest
import torch

from attnbench.cases.case import Mode
from attnbench.cases.choice import Choice
from attnbench.cases.registry import Registry, discover
from attnbench.measuring.contract import examine
from attnbench.measuring.cost import count
from attnbench.measuring.layers import build, make_data
from attnbench.measuring.layouts import layer_of
from attnbench.measuring.prediction import predicted_peak_bytes
from attnbench.mechanism import Geometry
from tests.shards import case

TINY = Path(__file__).parents[1] / "tiny_backbone.py"
IMAGE = Geometry.image(24, 18)  # which patches of 4 do not divide


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover([TINY])


def chosen(registry: Registry, word: str) -> Choice:
    return registry.choose(word)


@pytest.mark.parametrize("word", ["tiny", "tiny/msa", "tiny/xca:gain=0.5"])
def test_the_count_is_the_closed_form(registry: Registry, word: str):
    choice = chosen(registry, word)
    counted = count(layer_of(choice.mechanism, IMAGE, choice.settings), IMAGE)
    assert counted.macs == choice.mechanism.closed_form(IMAGE, **choice.settings)
    assert not counted.uncounted


def test_a_layers_setting_reaches_the_slot(registry: Registry):
    choice = chosen(registry, "tiny/hilo:window=3")
    layer = layer_of(choice.mechanism, IMAGE, choice.settings)
    windows = [getattr(mixer, "window", None) for mixer in layer.mixers]  # type: ignore[union-attr]
    assert windows == [1, None, 3]


def test_a_backbones_setting_reaches_the_backbone(registry: Registry):
    choice = chosen(registry, "tiny/msa:gain=0.25")
    assert layer_of(choice.mechanism, IMAGE, choice.settings).gain == 0.25


def test_a_model_keeps_the_contract(registry: Registry):
    results = list(examine(chosen(registry, "tiny/hilo"), [IMAGE]))
    assert results
    assert all(result.passed for result in results), results


def test_a_model_that_gives_no_scores_breaks_it(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    choice = chosen(registry, "tiny/msa")
    monkeypatch.setattr("attnbench.mechanism.CLASSES", 10)
    first = next(iter(examine(choice, [IMAGE])))
    assert first.passed is False
    assert "images [B, 3, H, W] must give scores [2, 10]" in first.detail


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_data_are_images_and_gradients_of_scores(registry: Registry, mode: str):
    asked = case("tiny/msa", geometry=IMAGE, batch=2, mode=Mode(mode))
    data = make_data(asked, seed=0, most_inputs=1)
    assert data.inputs[0].shape == (2, 3, 24, 18)
    assert (data.gradient is not None) == (mode == "training")
    if data.gradient is not None:
        assert data.gradient.shape == (2, 1000)


def test_the_prediction_is_of_images(registry: Registry):
    asked = case("tiny/msa", geometry=IMAGE, batch=2)
    workload = asked.workload
    small, large = (
        predicted_peak_bytes(
            lambda: build(registry, asked, 0),
            (batch, *workload.shape[1:]),
            torch.float32,
            output_shape=(batch, 1000),
        )
        for batch in (1, 101)
    )
    assert small is not None
    assert large is not None
    assert large - small >= 100 * 4 * 3 * 24 * 18
