"""LITv2 and LITv1: parameters and multiply-adds to the last digit, and what one filling is to another."""

import pytest
import torch
from torch import nn

from attnbench import Backbone, Slot, UnsupportedGeometry
from mechanisms.backbones._pyramid import Size
from mechanisms.backbones.lit import litv1, litv1_b, litv1_m, litv1_s, litv2, litv2_b, litv2_m, litv2_s
from tests.backbones import closed_form, count_of, filled, parameters_of, with_random_weights
from tests.plain.litv2 import plain_litv2_s

SIZES = [(224, 224), (256, 192), (225, 225)]
SMALL = Size(32, (1, 1, 2, 1))
SMALL_V1, SMALL_V2 = litv1("small", SMALL), litv2("small", SMALL)
AS_PUBLISHED = [  # parameters, and multiply-adds at 224 pixels
    (litv2_s, 27_844_000, 3_735_631_104),
    (litv2_m, 48_830_368, 7_484_079_360),
    (litv2_b, 86_520_704, 13_200_021_504),
    (litv1_s, 27_973_720, 4_088_619_264),
    (litv1_m, 49_372_264, 8_613_490_944),
    (litv1_b, 87_292_384, 15_055_580_160),
]
TABLE_4 = [
    ("msa", 28_089_760, 4_140_099_840),
    ("sra", 31_635_616, 3_921_194_496),
    ("local-window", 28_089_760, 4_007_334_144),
    ("t-msa", 29_862_688, 3_964_264_320),
    ("hilo", 27_844_000, 3_735_631_104),
    ("hilo:pooled_queries=true", 27_844_000, 3_510_779_904),
]
ALPHAS = [  # of HiLo in LITv2-S
    ("0", 28_089_760),
    ("0.2", 27_844_000),
    ("0.4", 27_696_544),
    ("0.5", 27_647_392),
    ("0.7", 27_696_544),
    ("0.9", 27_844_000),
    ("1.0", 28_089_760),
]


def name_of(value: object) -> str | None:
    return value.name if isinstance(value, Backbone) else None


@pytest.mark.parametrize(("backbone", "params", "macs"), AS_PUBLISHED, ids=name_of)
def test_has_the_published_parameters_and_multiply_adds(backbone: Backbone, params: int, macs: int) -> None:
    assert parameters_of(backbone, (224, 224)) == params
    assert closed_form(backbone, (224, 224)) == macs


def test_the_largest_has_the_published_multiply_adds_on_a_larger_image() -> None:
    assert closed_form(litv2_b, (384, 384)) == 39_728_472_064


@pytest.mark.parametrize(("asked", "params", "macs"), TABLE_4)
def test_the_fillings_of_table_4_cost_what_they_do_there(asked: str, params: int, macs: int) -> None:
    assert parameters_of(litv2_s, (224, 224), asked) == params
    assert closed_form(litv2_s, (224, 224), asked) == macs


@pytest.mark.parametrize(("alpha", "params"), ALPHAS)
def test_alpha_is_that_of_stage_3(alpha: str, params: int) -> None:
    assert parameters_of(litv2_s, (224, 224), f"hilo:alpha={alpha}") == params


def test_the_published_number_is_the_count() -> None:
    cost = count_of(filled(litv2_s, (224, 224)), (224, 224))
    assert (cost.params, cost.macs, cost.uncounted) == (27_844_000, 3_735_631_104, ())


@pytest.mark.parametrize("image", SIZES, ids=str)
@pytest.mark.parametrize("backbone", [SMALL_V1, SMALL_V2], ids=name_of)
def test_the_closed_form_is_the_count_on_any_image(backbone: Backbone, image: tuple[int, int]) -> None:
    cost = count_of(filled(backbone, image), image)
    assert cost.macs == closed_form(backbone, image)
    assert cost.uncounted == ()


@pytest.mark.parametrize("asked", [asked for asked, _, _ in TABLE_4])
def test_the_closed_form_is_the_count_with_other_mixers(asked: str) -> None:
    image = (96, 160)
    assert count_of(filled(SMALL_V2, image, asked), image).macs == closed_form(SMALL_V2, image, asked)


def test_the_steps_between_both_versions_are_settings_and_mixers() -> None:
    image = (224, 224)
    assert closed_form(litv1_s, image, "hilo", convffn=True) == closed_form(litv2_s, image)
    assert closed_form(litv1_s, image, convffn=True) == closed_form(litv2_s, image, "msa")
    assert closed_form(litv2_s, image, "msa-rpe", convffn=False) == closed_form(litv1_s, image)
    assert parameters_of(litv1_s, image, "hilo", convffn=True) == parameters_of(litv2_s, image)


def test_windows_of_one_token_make_it_the_model_of_softmax_attention() -> None:
    image = (64, 64)
    model = with_random_weights(filled(SMALL_V2, image, "hilo:window=1"))
    plain = filled(SMALL_V2, image, "msa").eval()
    weights = model.state_dict()
    for kind in ("weight", "bias"):
        for slot in [key.removesuffix(f"l_q.{kind}") for key in weights if key.endswith(f"l_q.{kind}")]:
            weights[f"{slot}qkv.{kind}"] = torch.cat(
                [weights.pop(f"{slot}l_q.{kind}"), weights.pop(f"{slot}l_kv.{kind}")]
            )
            weights[f"{slot}proj.{kind}"] = weights.pop(f"{slot}l_proj.{kind}")
    plain.load_state_dict(weights)
    images = torch.randn(2, 3, *image, dtype=torch.float64)
    torch.testing.assert_close(model(images), plain.double()(images))


@pytest.mark.parametrize("image", SIZES, ids=str)
def test_images_of_a_batch_do_not_see_each_other(image: tuple[int, int]) -> None:
    model = with_random_weights(filled(SMALL_V2, image))
    images = torch.randn(2, 3, *image, dtype=torch.float64)
    together = model(images)
    assert together.shape == (2, 1000)
    torch.testing.assert_close(together, torch.cat([model(one) for one in images.split(1)]))


def test_padding_is_zeros_below_and_to_the_right() -> None:
    small, large = (62, 61), (64, 64)
    model, larger = (with_random_weights(filled(SMALL_V2, image)) for image in (small, large))
    larger.load_state_dict(model.state_dict())
    images = torch.randn(1, 3, *small, dtype=torch.float64)
    padded = torch.nn.functional.pad(images, (0, 3, 0, 2))
    torch.testing.assert_close(model(images), larger(padded))


def test_merging_leaves_out_the_last_row_and_column_of_an_odd_map() -> None:
    sizes = {(slot.stage, slot.geometry.size) for slot in litv2_s.slots((225, 256))}
    assert sizes == {(3, "14x16"), (4, "7x8")}  # of 57 × 64 patches


def test_slots_are_those_that_the_model_asks_for_in_their_order() -> None:
    asked: list[Slot] = []

    def mixer(slot: Slot) -> nn.Module:
        asked.append(slot)
        return nn.Identity()

    litv2_s.build((64, 96), mixer, convffn=True)
    assert tuple(asked) == litv2_s.slots((64, 96))
    assert [(slot.stage, slot.number) for slot in asked] == [(3, n) for n in range(1, 7)] + [(4, 1), (4, 2)]
    assert asked[0].geometry.head_dim == asked[-1].geometry.head_dim == 32


def test_an_image_too_small_for_its_stages_is_refused() -> None:
    with pytest.raises(UnsupportedGeometry, match="28x64 pixels leaves no token to stage 4; take a larger"):
        litv2_s.slots((28, 64))
    assert litv2_s.slots((29, 29))[-1].geometry.size == "1x1"


def test_every_parameter_learns() -> None:
    model = filled(SMALL_V2, (64, 64))
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert [name for name, each in model.named_parameters() if each.grad is None] == []


def test_equals_its_plain_transcription_with_the_same_weights() -> None:
    image = (61, 96)
    model = with_random_weights(filled(litv2_s, image))
    plain = filled(plain_litv2_s, image).eval()
    plain.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, *image, dtype=torch.float64)
    torch.testing.assert_close(model(images), plain.double()(images))
