"""What is measured, and what is compared with what."""

from collections.abc import Sequence

import pytest

from attnbench import Geometry
from attnbench.cases.case import Block, Role
from attnbench.cases.registry import Registry, discover
from attnbench.cases.sweep import ceilings, read_size, sweep
from attnbench.cases.variant import PLAIN, Variant
from attnbench.errors import AttnbenchError


@pytest.mark.parametrize(("text", "size"), [("14", (14, 14)), ("14x28", (14, 28)), ("1", (1, 1))])
def test_a_size_is_one_side_or_two(text: str, size: tuple[int, int]):
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["0", "-3", "14x", "x14", "14x0", "14x28x2", "a", "", "1.5", "²"])
def test_what_is_not_a_size_is_refused(text: str):
    with pytest.raises(AttnbenchError, match="is not a size"):
        read_size(text)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def block_of(
    registry: Registry, *texts: str, baseline: str | None = None, variants: Sequence[Variant] = (PLAIN,)
) -> Block:
    choices = [registry.choose(text) for text in texts]
    base = registry.choose(baseline) if baseline else None
    (block,) = sweep(
        choices,
        [Geometry(48, 6, 2, 2)],
        ["cpu"],
        batches=[4],
        variants=variants,
        baseline=base,
    )
    return block


def roles(block: Block) -> list[tuple[str, str]]:
    return [(case.label, case.role) for case in block.cases]


CEILINGS = [("ceiling/matmul", "ceiling"), ("ceiling/copy", "ceiling")]


def test_cases_of_one_device_and_size_make_a_block(registry: Registry):
    geometries = [Geometry(48, 6, 2, 2), Geometry(48, 6, 2, 3)]
    choices = [registry.choose(text) for text in ("msa", "hilo:alpha=1", "hilo:alpha=1.0")]
    blocks = sweep(
        choices,
        geometries,
        ["cpu", "cuda"],
        batches=[4],
        variants=[Variant("fused", "bfloat16")],
    )
    assert [block.name for block in blocks] == [
        "cpu 2x2 batch 4", "cpu 2x3 batch 4", "cuda 2x2 batch 4", "cuda 2x3 batch 4",
    ]  # fmt: skip
    assert [case.label for case in blocks[0].members] == ["msa", "hilo:alpha=1.0"]
    assert {(case.workload.batch, case.variant) for block in blocks for case in block.members} == {
        (4, Variant("fused", "bfloat16"))
    }
    for block in blocks:
        assert {(case.device, case.workload.geometry) for case in block.cases} == {
            (block.device, block.workload.geometry)
        }


def test_a_block_ends_with_the_baselines_twin_and_the_ceilings(registry: Registry):
    block = block_of(registry, "hilo", "msa")
    assert roles(block) == [("hilo", "member"), ("msa", "member"), ("msa", "twin"), *CEILINGS]
    _, msa, twin, *_ = block.cases
    assert (twin.title, twin.source, twin.settings) == ("MSA again", msa.source, msa.settings)


def test_the_baseline_is_the_one_that_was_named_or_msa_or_the_first(registry: Registry):
    def twin(*texts: str, baseline: str | None = None) -> str:
        return next(case.label for case in block_of(registry, *texts, baseline=baseline).cases
                    if case.role is Role.twin)  # fmt: skip

    assert twin("hilo", "msa", baseline="hilo") == "hilo"
    assert twin("hilo", "msa") == "msa"
    assert twin("sra", "hilo") == "sra"


def test_a_baseline_that_was_not_chosen_is_measured_too(registry: Registry):
    block = block_of(registry, "msa", baseline="hilo:window=4")
    assert [case.label for case in block.members] == ["msa", "hilo:window=4"]


def test_a_case_knows_the_code_of_its_mechanism(registry: Registry):
    msa, hilo, *_ = block_of(registry, "msa", "hilo").cases
    assert msa.source == registry.choose("msa").source
    assert msa.source != hilo.source


def test_a_baseline_that_is_not_among_the_members_is_their_control(registry: Registry):
    block = block_of(registry, "msa", "hilo", "sra")
    assert roles(block.of(block.members[1:2])) == [
        ("msa", "control"), ("hilo", "member"), ("msa", "twin"), *CEILINGS,
    ]  # fmt: skip


def test_a_block_of_all_its_members_is_itself(registry: Registry):
    block = block_of(registry, "msa", "hilo")
    assert block.of(block.members) == block


def test_members_that_are_not_kept_leave_no_case(registry: Registry):
    block = block_of(registry, "msa", "hilo")
    assert roles(block.of(block.members[:1])) == [("msa", "member"), ("msa", "twin"), *CEILINGS]


def test_ceilings_carry_what_decides_them():
    matmul, copy = ceilings(Geometry(48, 6, 2, 2), "cuda", "bfloat16")
    assert (matmul.mechanism, copy.mechanism) == ("matmul", "copy")
    assert {(case.role, case.device, case.variant) for case in (matmul, copy)} == {
        (Role.ceiling, "cuda", Variant(dtype="bfloat16"))
    }


WAYS = [Variant(), Variant("fused"), Variant(dtype="bfloat16")]


def test_the_variants_of_a_layer_share_a_block_and_each_number_format_has_its_ceilings(registry: Registry):
    block = block_of(registry, "hilo", "msa", variants=WAYS)
    assert [case.row for case in block.members] == [(name, way) for name in ("hilo", "msa") for way in WAYS]
    twin, *limits = (case for case in block.cases if case not in block.members)
    assert twin.row == ("msa", PLAIN)
    assert [(case.mechanism, case.variant.dtype) for case in limits] == [
        ("matmul", "float32"), ("copy", "float32"), ("matmul", "bfloat16"), ("copy", "bfloat16"),
    ]  # fmt: skip


def test_only_the_twins_original_becomes_a_control(registry: Registry):
    block = block_of(registry, "msa", "hilo", variants=WAYS)
    left = block.of(block.members[4:5])
    assert [(case.row, case.role) for case in left.cases if case.role in (Role.member, Role.control)] == [
        (("msa", PLAIN), Role.control), (("hilo", Variant("fused")), Role.member),
    ]  # fmt: skip


def test_products_under_autocast_have_the_ceilings_of_their_format(registry: Registry):
    ways = [PLAIN, Variant(dtype="autocast-bfloat16"), Variant(dtype="bfloat16")]
    cases = block_of(registry, "msa", variants=ways).cases
    assert [case.variant.dtype for case in cases if case.mechanism == "matmul"] == ["float32", "bfloat16"]


def test_each_number_of_threads_is_a_block(registry: Registry):
    geometry = Geometry(48, 6, 2, 2)
    blocks = sweep([registry.choose("msa")], [geometry], ["cpu"], batches=[4], threads=[1, 2])
    assert [block.threads for block in blocks] == [1, 2]
    assert blocks[0].cases == blocks[1].cases
    assert [block.name_among(blocks) for block in blocks] == [
        "cpu 2x2 batch 4, 1 thread", "cpu 2x2 batch 4, 2 threads",
    ]  # fmt: skip
    assert blocks[1].name_among(blocks[1:]) == "cpu 2x2 batch 4"
    assert blocks[1].of(blocks[1].members).threads == 2


def test_a_batch_of_nobodys_choice_leaves_a_block_open_until_it_is_filled(registry: Registry):
    geometry = Geometry(48, 6, 2, 2)
    closed, left = sweep([registry.choose("msa")], [geometry], ["cpu"], batches=[4, None], threads=[2])
    assert (closed.is_open, left.is_open) == (False, True)
    filled = left.filled(4, "for a reason")
    assert (filled.cases, filled.threads, filled.is_open) == (closed.cases, 2, False)
    assert filled.batch_note == "for a reason"
