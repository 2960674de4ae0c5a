"""The claims that come with attnbench."""

from dataclasses import replace

import pytest

from attnbench.cases.variant import Variant
from attnbench.paper import DEVICES, Published, published, remark
from attnbench.paper.builtin import builtin, sentences
from attnbench.paper.claims import Claim, Conditions, Metric, Relation

CLAIMS = pytest.mark.parametrize("claim", builtin(), ids=lambda claim: claim.id)


def published_number(claim: Claim, row: Published) -> float:
    """Table IV's number of a row in the claim's metric."""
    if claim.metric is Metric.speed:
        return row.imgs_per_s(claim.device or "")
    return row.params_m if claim.metric is Metric.params else row.flops_m


def agrees(claim: Claim, ratio: float) -> bool:
    """Whether a ratio of Table IV is what the claim says, to the claim's digits."""
    if claim.times is not None:
        return round(ratio, 1) == claim.times
    if claim.relation is Relation.about:
        return abs(ratio - 1) < (claim.within or 0)
    return ratio > 1 if claim.relation.is_upward else ratio < 1


@CLAIMS
def test_a_claim_is_about_mechanisms_of_table_iv(claim: Claim):
    assert {label.partition(":")[0] for label in claim.labels} <= published().keys()


@CLAIMS
def test_a_claim_says_what_and_where(claim: Claim):
    assert claim.sentence.endswith(".")
    assert claim.source
    assert claim.conditions.torch == "1.8.1"


def test_no_two_claims_have_the_same_name():
    assert len({claim.id for claim in builtin()}) == len(builtin())


def test_claims_are_about_the_setting_of_table_iv_on_the_papers_machines():
    paper = Conditions(torch="1.8.1", cpu=DEVICES["cpu"], gpu=DEVICES["cuda"])
    formats = {"float32": paper, "tf32": replace(paper, variant=Variant(dtype="tf32"))}
    others = {c.id for c in builtin() if c.conditions != formats[c.conditions.variant.dtype]}
    assert others == {"hilo-window-flops", "hilo-training-memory-msa"}


def test_speeds_on_a_gpu_are_claimed_in_the_format_that_the_papers_torch_took():
    on_a_gpu = {c.id for c in builtin() if c.metric is Metric.speed and c.device == "cuda"}
    assert len(on_a_gpu) == 20
    assert {claim.id for claim in builtin() if claim.conditions.variant.dtype == "tf32"} == on_a_gpu


def test_what_is_remarked_of_the_papers_gpu_is_what_its_numbers_say():
    msa, peak_macs_per_s = published()["msa"], 35.6e12 / 2
    call_s = 64 / msa.imgs_per_s("cuda")
    assert f"MSA's {1000 * call_s:.1f} ms" in remark("cuda")
    assert 7 < call_s / (64 * msa.flops_m * 1e6 / peak_macs_per_s) < 8
    assert remark("cpu") == ""


@pytest.mark.parametrize("claim", [c for c in builtin() if c.than], ids=lambda claim: claim.id)
def test_table_iv_bears_out_what_is_claimed_of_its_rows(claim: Claim):
    rows = published()
    if claim.metric is not Metric.memory and set(claim.labels) <= rows.keys():
        ours = published_number(claim, rows[claim.mechanism])
        ratios = [ours / published_number(claim, rows[other]) for other in claim.than]
        assert all(agrees(claim, ratio) for ratio in ratios)
        assert claim.reported is None or claim.reported == pytest.approx(ratios[0], abs=0.005)


def test_hilo_is_claimed_to_be_faster_than_each_other_row_on_both_devices():
    orders = [
        claim for claim in builtin() if claim.source == "Table IV" and claim.relation is Relation.faster
    ]
    others = [name for name in published() if name != "hilo"]
    assert [(claim.device, *claim.than) for claim in orders] == [
        (device, other) for device in ("cpu", "cuda") for other in others
    ]


def test_every_count_of_table_iv_is_claimed_with_its_printed_digits():
    counts = {claim.id: claim.millions for claim in builtin() if claim.millions is not None}
    assert len(counts) == 28
    assert str(counts["table-iv-params-hilo"]) == "2.20"
    assert str(counts["table-iv-flops-van"]) == "358.0"


def test_the_ratios_of_the_abstract_are_among_the_sentences():
    ratios = {claim.than: claim.times for claim in sentences() if claim.times}
    assert ratios == {("sra",): 1.4, ("local-window",): 1.6, ("van",): 17.4}
