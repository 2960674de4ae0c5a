"""What the paper printed of models, and the claims that its numbers make."""

from decimal import Decimal

import pytest

from attnbench.cases.registry import Registry, discover
from attnbench.mechanism import Geometry
from attnbench.paper.claims import Claim, Metric, Relation
from attnbench.paper.models import GPUS, model_claims, printed, published_model

IMAGE = Geometry.image(224, 224)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def named(id_: str) -> Claim:
    (claim,) = (claim for claim in model_claims() if claim.id == id_)
    return claim


def test_every_claim_has_a_name_of_its_own():
    assert len({claim.id for claim in model_claims()}) == len(model_claims())


def test_every_model_of_ours_is_one_that_there_is(registry: Registry):
    labels = [row.label for row in printed() if row.label and not row.label.startswith("timm/")]
    assert len(labels) == 16
    assert [registry.choose(label).label for label in labels] == labels


@pytest.mark.parametrize("metric", [Metric.params, Metric.flops])
def test_our_models_have_the_printed_counts_but_where_a_note_says_why(registry: Registry, metric: Metric):
    """FLOPs by their closed forms; parameters are those of tests on the models themselves."""
    for claim in model_claims():
        if claim.metric is not metric or claim.mechanism.startswith("timm/") or metric is Metric.params:
            continue
        choice = registry.choose(claim.mechanism)
        side = int(claim.conditions.size.partition("x")[0])
        macs = choice.mechanism.closed_form(Geometry.image(side, side), **choice.settings)
        assert macs is not None
        assert claim.millions is not None
        holds = (Decimal(macs) / 10**6).quantize(claim.millions) == claim.millions
        assert holds != bool(claim.note), claim.id


def test_a_printed_number_keeps_its_digits():
    assert named("litv2-s-flops").millions == Decimal("3.7E+3")
    assert named("litv2-b-384-flops").millions == Decimal("39.7E+3")
    assert named("litv2-b-384-flops").conditions.size == "384x384"


def test_a_row_that_ran_out_of_memory_makes_no_claim_of_it():
    about = {claim.id for claim in model_claims() if claim.metric is Metric.memory}
    assert "litv2-b-384-inference-timm-swin_base_patch4_window12_384" in about
    assert "litv2-b-384-training-timm-swin_base_patch4_window12_384" not in about


def test_table_4_is_hilo_beside_each_other_filling():
    fast = {claim.than: claim for claim in model_claims() if claim.mechanism == "litv2-s/hilo" and claim.than}
    assert {than for (than,) in fast} == {
        "litv2-s/msa", "litv2-s/sra", "litv2-s/local-window", "litv2-s/t-msa",
        "litv2-s/hilo:pooled_queries=True",
    }  # fmt: skip
    claim = named("litv2-s-hilo-rtx3090-litv2-s-msa")
    assert (claim.relation, claim.reported) == (Relation.faster, 1471 / 1293)


def test_models_of_one_size_are_compared_on_each_gpu_of_the_tables():
    than = {c.than[0]: c for c in model_claims() if c.mechanism == "litv2-s" and c.metric is Metric.speed}
    assert "timm/resnet50" in than
    assert "timm/resnet101" not in than
    gpus = {c.conditions.gpu for c in model_claims() if c.than == ("timm/tnt_s_patch16_224",)}
    assert gpus == set(GPUS.values())


def test_a_model_is_printed_for_its_own_images_alone():
    row = published_model("litv2-b", IMAGE)
    assert row is not None
    assert (row.params_m, row.flops_m, row.imgs_per_s("cuda"), row.imgs_per_s("cpu")) == (
        87,
        13200,
        602,
        None,
    )
    large = published_model("litv2-b", Geometry.image(384, 384))
    assert large is not None
    assert large.imgs_per_s("cuda") == 198
    assert published_model("litv2-b", Geometry.image(256, 256)) is None
