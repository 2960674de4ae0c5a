"""Ways to run a layer: in words, and in all combinations."""

from dataclasses import asdict

from attnbench.cases.variant import AXES, PLAIN, Variant, variants


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
