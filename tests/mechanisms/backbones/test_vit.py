"""ViT-B/16: what it costs, and what tells its patches apart."""

import pytest
import torch

from mechanisms.backbones.vit import vit, vit_b16
from tests.backbones import closed_form, count_of, filled, parameters_of, with_random_weights

SMALL = vit("small", dim=64, depth=2)
PUBLISHED_PARAMETERS = 86_567_656
CLASS_TOKEN_AND_ITS_POSITION = 2 * 768


def test_has_the_published_parameters_but_for_a_class_token_and_its_position() -> None:
    expected = PUBLISHED_PARAMETERS - CLASS_TOKEN_AND_ITS_POSITION
    assert parameters_of(vit_b16, (224, 224)) == expected == 86_566_120


def test_costs_what_its_docstring_says() -> None:
    n, c = 196, 768
    mixers = 12 * (4 * n * c**2 + 2 * n**2 * c)
    blocks = 12 * (8 * n * c**2 + 10 * n * c)
    assert closed_form(vit_b16, (224, 224)) == 768 * n * c + mixers + blocks + 5 * n * c + 1000 * c


@pytest.mark.parametrize("image", [(224, 224), (250, 192)], ids=str)
def test_the_closed_form_is_the_count_on_any_image(image: tuple[int, int]) -> None:
    cost = count_of(filled(SMALL, image), image)
    assert cost.macs == closed_form(SMALL, image)
    assert cost.uncounted == ()


def test_has_a_position_for_each_patch_also_for_those_that_the_image_fills_in_part() -> None:
    model = filled(SMALL, (33, 48))
    assert model.get_parameter("positions.table").shape == (1, 3 * 3, 64)
    assert {slot.geometry.size for slot in SMALL.slots((33, 48))} == {"3x3"}


def test_without_positions_the_logits_do_not_care_where_patches_are() -> None:
    model = with_random_weights(filled(SMALL, (32, 32)))
    image = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    assert not torch.allclose(model(image), model(image.roll(16, dims=3)))
    torch.nn.init.zeros_(model.get_parameter("positions.table"))
    torch.testing.assert_close(model(image), model(image.roll(16, dims=3)))
