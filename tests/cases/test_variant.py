"""Ways to run a layer: in words, and in all combinations."""

from dataclasses import asdict

import pytest

from attnbench.cases.variant import AXES, COMPILE_MODES, PLAIN, Variant, variants


def test_a_variant_says_what_it_is_and_what_differs_from_the_plain_one():
    fast = Variant("flash", "bfloat16", "max-autotune", cuda_graph=True)
    assert fast.title == "bfloat16, flash kernel, compiled (max-autotune), CUDA graph"
    assert fast.name == "bfloat16, flash, compiled (max-autotune), CUDA graph"
    assert (PLAIN.title, PLAIN.name) == ("float32, explicit kernel", "")
    assert Variant(compile="default").name == "compiled"


def test_every_combination_is_a_variant():
    found = variants(["explicit", "fused"], ["float32", "tf32"], ["off"], [False, True])
    assert len(set(found)) == 8
    assert found[0] == PLAIN
    assert found[-1] == Variant("fused", "tf32", "off", cuda_graph=True)


def test_each_field_has_its_values_the_default_first_and_the_number_format_is_told_first():
    assert {axis: values[0] for axis, values in AXES.items()} == asdict(PLAIN)
    assert list(AXES)[:2] == ["dtype", "kernel"]


def test_what_is_compiled_or_captured_is_prepared_in_its_first_call():
    prepared = [Variant(compile="default"), Variant(cuda_graph=True), Variant("fused", "bfloat16")]
    assert [variant.is_prepared for variant in prepared] == [True, True, False]


@pytest.mark.parametrize("mode", ["reduce-overhead", "max-autotune"])
def test_a_mode_that_makes_cuda_graphs_is_not_captured_in_another_one(mode: str):
    reason = Variant(compile=mode, cuda_graph=True).nested
    assert reason is not None
    assert f"--compile {mode} makes CUDA graphs of its own" in reason
    assert "take one of the two" in reason
    assert Variant(compile=mode).nested is None


@pytest.mark.parametrize("mode", ["off", "default", "max-autotune-no-cudagraphs"])
def test_what_makes_no_cuda_graphs_can_be_captured(mode: str):
    assert Variant(compile=mode, cuda_graph=True).nested is None


def test_modes_that_time_kernels_to_choose_among_them_have_more_time():
    patient = {mode for mode in COMPILE_MODES if Variant(compile=mode).patience > 1}
    assert patient == {"max-autotune", "max-autotune-no-cudagraphs"}


def test_variants_rank_by_number_format_then_kernel_then_how_they_are_prepared():
    ranked = [
        PLAIN,
        Variant(cuda_graph=True),
        Variant(compile="default"),
        Variant(kernel="fused"),
        Variant(dtype="bfloat16"),
    ]
    assert [variant.rank for variant in ranked] == sorted(variant.rank for variant in ranked)


def test_a_variant_follows_what_it_adds_one_choice_to():
    fused, compiled = Variant(kernel="fused"), Variant(compile="default")
    assert fused.follows(PLAIN)
    assert Variant("fused", compile="default").follows(compiled)
    assert not PLAIN.follows(fused)  # it takes a choice back
    assert not Variant(kernel="flash").follows(fused)  # another choice instead of one
    assert not Variant("fused", compile="default").follows(PLAIN)  # two choices
    assert not PLAIN.follows(PLAIN)


def test_under_autocast_numbers_are_kept_in_float32_and_products_made_in_the_other_format():
    mixed, cast = Variant(dtype="autocast-bfloat16"), Variant(dtype="bfloat16")
    assert (mixed.stored, mixed.computed, mixed.autocast) == ("float32", "bfloat16", "bfloat16")
    assert (cast.stored, cast.computed, cast.autocast) == ("bfloat16", "bfloat16", None)
    assert (mixed.bytes_each, mixed.bytes_each_out) == (4, 2)
    assert mixed.title == "autocast-bfloat16, explicit kernel"


def test_tf32_is_kept_in_float32():
    assert (Variant(dtype="tf32").stored, Variant(dtype="tf32").computed) == ("float32", "tf32")
