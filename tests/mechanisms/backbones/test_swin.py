"""Swin-T: what it costs, and which blocks shift their windows."""

import pytest
import torch

from mechanisms.backbones._pyramid import Size
from mechanisms.backbones.swin import swin, swin_t
from tests.backbones import closed_form, count_of, filled, model_of, parameters_of, with_random_weights

SMALL = swin("small", Size(32, (1, 1, 2, 1)))
BIAS_TABLES = 169 * (2 * 3 + 2 * 6 + 6 * 12 + 2 * 24)  # which windows of Table IV do not have
PUBLISHED_PARAMETERS = 28_288_354


def test_has_the_published_parameters_but_for_the_bias_tables() -> None:
    assert parameters_of(swin_t, (224, 224)) == PUBLISHED_PARAMETERS - BIAS_TABLES == 28_265_032


def test_rounds_to_the_published_multiply_adds() -> None:
    assert round(closed_form(swin_t, (224, 224)) / 1e9, 1) == 4.5


@pytest.mark.parametrize("image", [(224, 224), (256, 192), (225, 225)], ids=str)
def test_the_closed_form_is_the_count_on_any_image(image: tuple[int, int]) -> None:
    cost = count_of(filled(SMALL, image), image)
    assert cost.macs == closed_form(SMALL, image)
    assert cost.uncounted == ()


def test_every_second_block_shifts_its_windows_but_for_the_last_stage() -> None:
    model, _ = model_of(swin_t, "shifted-window")
    taken = [model.mixer(slot, {"window": 5, "shift": 2}) for slot in swin_t.slots((224, 224))]
    assert {mixer.mechanism.name for mixer in taken} == {"shifted-window"}
    assert [mixer.settings["shift"] for mixer in taken] == [0, 2] * 5 + [0, 0]
    assert {mixer.settings["window"] for mixer in taken} == {5}


def test_an_odd_map_is_padded_and_not_cut() -> None:
    sizes = {slot.stage: slot.geometry.size for slot in swin_t.slots((225, 256))}
    assert sizes == {1: "57x64", 2: "29x32", 3: "15x16", 4: "8x8"}


def test_images_of_a_batch_do_not_see_each_other() -> None:
    model = with_random_weights(filled(SMALL, (70, 64)))
    images = torch.randn(2, 3, 70, 64, dtype=torch.float64)
    torch.testing.assert_close(model(images), torch.cat([model(one) for one in images.split(1)]))
