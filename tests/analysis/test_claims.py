"""What a run says of claims."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from attnbench.analysis.claims import Judgement, Ruling, decide, judge, summary
from attnbench.analysis.evidence import Evidence
from attnbench.cases.case import Role
from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.paper.claims import Claim, Conditions, Metric, Relation
from attnbench.records.record import Record
from attnbench.statistics import Comparison, Estimate
from tests.fakes import MEMORY, block, changed, claim, exactly, record

DRIFT = (1.0, 1.01, 0.99, 1.0, 1.005, 0.995) * 2
NOISE = (1.0, 1.1, 0.9, 1.05, 0.95, 1.0) * 2
ORDER: dict[str, Any] = {"times": None}
COUNT: dict[str, Any] = {"metric": Metric.flops, "times": None, "device": None}
PUBLISHED: dict[str, Any] = {**COUNT, "relation": Relation.equal, "than": ()}


def a_run(times_s: Mapping[str, float], **changes: Any) -> list[Record]:
    """A block on two sessions, whose rounds drift together."""
    return block({label: [time * drift for drift in DRIFT] for label, time in times_s.items()}, 2, **changes)


def the_judgement(about: Claim, records: Sequence[Record]) -> Judgement:
    (judgement,) = judge([about], records)
    return judgement


def ruled(about: Claim, ratios: Mapping[str, Estimate]) -> tuple[str, str]:
    comparisons = {label: Comparison(ratio, 0.0, ()) for label, ratio in ratios.items()}
    (judgement,) = decide([Evidence(about, comparisons)])
    return judgement.ruling, judgement.reason


def counted(**macs: int) -> list[Record]:
    return [record(label, macs=count) for label, count in macs.items()]


def test_claims_hold_or_fail_or_cannot_be_tested():
    run = a_run({"hilo": 0.2, "sra": 0.3})
    claims = [claim(), claim(times=1.6), claim(than=("van",))]
    assert [(each.ruling, each.ours) for each in judge(claims, run)] == [
        ("holds", exactly(1.5)),
        ("fails", exactly(1.5)),
        ("not testable", None),
    ]


def test_a_claim_is_unclear_where_a_time_is_impossible():
    run = a_run({"hilo": 0.2, "sra": 0.3, "van": 0.4}, macs=10**6)
    limits = [
        changed(record(name, [0.25 * drift for drift in DRIFT], 2, macs=10**6),
                role=Role.ceiling, mechanism=name) for name in ("matmul", "copy")
    ]  # fmt: skip
    first, second = judge([claim(), claim(mechanism="sra", than=("van",), times=1.2)], [*run, *limits])
    assert (first.ruling, first.reason) == ("unclear", "faster than this machine allows: HILO")
    assert second.ruling == "holds"


def test_a_claim_about_a_gpu_is_not_testable_on_a_cpu():
    run = a_run({"hilo": 0.2, "sra": 0.1})
    for relation in (Relation.faster, Relation.slower):
        found = the_judgement(claim(device="cuda", relation=relation, times=None), run)
        assert (found.ruling, found.reason) == ("not testable", "nothing was measured on a GPU")


def about_tf32() -> Claim:
    """That HiLo is faster than SRA on a GPU."""
    return claim(device="cuda", times=None, conditions=Conditions(variant=Variant(dtype="tf32")))


def test_a_claim_about_tf32_is_judged_in_it_with_float32_beside_it():
    rounded = a_run({"hilo": 0.3, "sra": 0.2}, device="cuda", dtype="tf32")
    plain = a_run({"hilo": 0.2, "sra": 0.3}, device="cuda", block="another")
    found = the_judgement(about_tf32(), [*plain, *rounded])
    assert (found.ruling, found.ours, found.variant) == ("fails", exactly(2 / 3), Variant(dtype="tf32"))
    assert found.beside is not None
    assert (found.beside.ruling, found.beside.ours, found.beside.variant) == (
        "holds",
        exactly(1.5),
        Variant(),
    )


def test_nothing_stands_beside_a_claim_where_float32_was_not_measured():
    rounded = a_run({"hilo": 0.2, "sra": 0.3}, device="cuda", dtype="tf32")
    half = a_run({"hilo": 0.2, "sra": 0.3}, device="cuda", dtype="bfloat16", block="another")
    assert the_judgement(about_tf32(), [*half, *rounded]).beside is None


def test_a_claim_about_tf32_is_judged_in_float32_before_other_formats():
    half = a_run({"hilo": 0.3, "sra": 0.2, "van": 0.3}, device="cuda", dtype="bfloat16", block="another")
    plain = a_run({"hilo": 0.2, "sra": 0.3}, device="cuda")
    found = the_judgement(about_tf32(), [*half, *plain])
    assert (found.ruling, found.variant, found.beside) == ("holds", Variant(), None)
    assert [str(difference) for difference in found.differences] == ["dtype float32, not tf32"]


@pytest.mark.parametrize(
    ("ours", "ruling", "reason"),
    [
        (Estimate(1.5, 1.4, 1.6), "holds", ""),
        (Estimate(1.4, 1.3, 1.5), "unclear", "only part of the interval agrees"),
        (Estimate(1.35, 1.3, 1.45), "unclear", "only part of the interval agrees"),
        (Estimate(1.2, 1.1, 1.3), "fails", "still faster, but not so much"),
        (Estimate(1.1, 0.9, 1.3), "fails", ""),
        (Estimate(0.5, 0.4, 0.6), "fails", ""),
        (Estimate(1.5), "unclear", "too few rounds for an interval"),
    ],
)
def test_a_ratio_is_judged_by_the_whole_interval(ours: Estimate, ruling: str, reason: str):
    assert ruled(claim(), {"sra": ours}) == (ruling, reason)


@pytest.mark.parametrize(
    ("ours", "ruling", "reason"),
    [
        (Estimate(0.45, 0.4, 0.5), "holds", ""),
        (Estimate(0.5, 0.4, 0.6), "unclear", "only part of the interval agrees"),
        (Estimate(0.7, 0.6, 0.8), "fails", "still slower, but not so much"),
        (Estimate(2.5, 2.4, 2.6), "fails", ""),
    ],
)
def test_twice_as_slow_is_at_most_half_as_fast(ours: Estimate, ruling: str, reason: str):
    assert ruled(claim(relation=Relation.slower, times=2.0), {"sra": ours}) == (ruling, reason)


@pytest.mark.parametrize(
    ("ours", "ruling"),
    [
        (Estimate(1.0, 0.92, 1.1), "holds"),
        (Estimate(0.92, 0.88, 0.95), "unclear"),
        (Estimate(1.2, 1.11, 1.3), "fails"),
        (Estimate(0.8, 0.7, 0.9), "fails"),
    ],
)
def test_about_the_same_is_within_the_share_on_either_side(ours: Estimate, ruling: str):
    about = claim(relation=Relation.about, within=0.1, times=None)
    found, reason = ruled(about, {"sra": ours})
    assert (found, "still" in reason) == (ruling, False)


@pytest.mark.parametrize(("sra_s", "ruling"), [(0.3, "holds"), (0.15, "fails"), (0.201, "unclear")])
def test_an_order_is_what_the_statistics_say(sra_s: float, ruling: str):
    run = a_run({"hilo": 0.2, "sra": sra_s})
    assert the_judgement(claim(**ORDER), run).ruling == ruling
    opposite = {"holds": "fails", "fails": "holds"}.get(ruling, ruling)
    assert the_judgement(claim(relation=Relation.slower, **ORDER), run).ruling == opposite


def test_two_that_are_the_same_are_said_to_be():
    found = the_judgement(claim(**ORDER), a_run({"hilo": 0.2, "sra": 0.202}))
    assert (found.ruling, found.reason) == ("unclear", "the same within ±3 %")


def test_an_order_does_not_hold_on_noise():
    run = a_run({"hilo": 0.2, "sra": 0.21})
    assert the_judgement(claim(**ORDER), run).ruling is Ruling.holds
    (twin,) = (each for each in run if each.case.role is Role.twin)
    samples = [
        replace(each, seconds=each.seconds * far) for each, far in zip(twin.samples, NOISE, strict=True)
    ]
    noisy = [each for each in run if each is not twin] + [replace(twin, samples=tuple(samples))]
    found = the_judgement(claim(**ORDER), noisy)
    assert (found.ruling, found.reason) == ("unclear", "no order beyond noise")


def test_orders_are_corrected_together():
    clear, chance = (
        Comparison(Estimate(1.5, 1.4, 1.6), 0.04, ()),
        Comparison(Estimate(1.5, 1.4, 1.6), 0.9, ()),
    )
    one = Evidence(claim(**ORDER), {"sra": clear})
    others = [Evidence(claim(**ORDER), {"sra": chance})] * 5
    assert decide([one])[0].ruling is Ruling.holds
    assert decide([one, *others])[0].ruling is Ruling.unclear


@pytest.mark.parametrize(
    ("van", "ruling", "reason"),
    [
        (Estimate(1.5, 1.45, 1.6), "holds", "nearest is van"),
        (Estimate(1.5, 1.3, 1.6), "unclear", "unclear beside van"),
        (Estimate(1.3, 1.2, 1.35), "fails", "not faster than van"),
    ],
)
def test_a_claim_about_several_holds_beside_each_of_them(van: Estimate, ruling: str, reason: str):
    about = claim(than=("sra", "van", "msa"))
    wide = Estimate(2.0, 1.9, 2.1)
    assert ruled(about, {"sra": wide, "van": van, "msa": wide}) == (ruling, reason)


def test_of_several_the_ratio_to_the_nearest_is_shown():
    run = a_run({"hilo": 0.2, "sra": 0.3, "van": 0.25, "msa": 0.4})
    assert the_judgement(claim(than=("sra", "van", "msa"), **ORDER), run).ours == exactly(1.25)
    slower = claim(mechanism="msa", relation=Relation.slower, than=("sra", "van", "hilo"), **ORDER)
    assert the_judgement(slower, run).ours == exactly(0.75)


def test_one_that_was_not_measured_leaves_a_claim_about_several_open_unless_another_refutes_it():
    about = claim(than=("sra", "van"), **ORDER)
    found = the_judgement(about, a_run({"hilo": 0.2, "sra": 0.3}))
    assert (found.ruling, found.reason) == ("not testable", "not measured here: VAN")
    assert the_judgement(about, a_run({"hilo": 0.2, "sra": 0.1})).ruling is Ruling.fails


def test_a_claim_may_name_mechanisms_by_title_in_any_case_and_with_settings_in_any_order():
    records = a_run({"hilo:window=4": 0.1, "local-window": 0.3})
    records[0] = changed(records[0], settings={"alpha": 0.9, "window": 4})
    records[1] = changed(records[1], title="Local Window")
    found = the_judgement(claim(mechanism="HiLo:window=4,alpha=0.9", than=("local window",)), records)
    assert (found.ruling, found.claim.labels) == ("holds", ("hilo:window=4", "local-window"))


def test_a_name_of_table_iv_is_no_title_of_another_mechanism():
    mine = changed(a_run({"mine": 0.1})[0], title="HiLo")
    records = [mine, *a_run({"sra": 0.3})]
    assert the_judgement(claim(), records).ruling == "not testable"
    assert the_judgement(claim(mechanism="HiLo"), records).ruling == "holds"


def test_no_mechanism_is_compared_with_itself_by_another_name():
    records = a_run({"hilo": 0.1, "sra": 0.3})
    others = claim(mechanism="HiLo", than=("hilo", "sra", "SRA"))
    assert the_judgement(others, records).claim.than == ("sra",)
    with pytest.raises(AttnbenchError, match="Claim 'mine': than names hilo itself; it must name others"):
        judge([claim(mechanism="HiLo", than=("hilo",))], records)


def test_a_published_count_must_be_equal_to_its_printed_digits():
    near, far = claim(**PUBLISHED, millions=Decimal("298.3")), claim(**PUBLISHED, millions=Decimal("298.30"))
    for millions, ruling in ((near, "holds"), (far, "fails")):
        found = the_judgement(millions, counted(hilo=298_324_000))
        assert (found.ruling, found.ours) == (ruling, exactly(298.324))


def test_a_claim_that_fails_says_why_where_that_is_known():
    about = claim(**PUBLISHED, millions=Decimal("2.2"), note="it was miscounted")
    assert the_judgement(about, counted(hilo=2_300_000)).reason == "it was miscounted"
    assert the_judgement(about, counted(hilo=2_200_000)).reason == ""


@pytest.mark.parametrize(
    ("sra", "less", "equal", "more"),
    [
        (101, "holds", "fails", "fails"),
        (100, "fails", "holds", "fails"),
        (99, "fails", "fails", "holds"),
    ],
)
def test_counts_are_exact(sra: int, less: str, equal: str, more: str):
    claims = [
        claim(**{**COUNT, "relation": relation})
        for relation in (Relation.less, Relation.equal, Relation.more)
    ]
    assert [each.ruling for each in judge(claims, counted(hilo=100, sra=sra))] == [less, equal, more]


def test_a_lower_bound_of_flops_decides_nothing():
    run = [record("hilo", macs=100), record("sra", macs=200, uncounted=("aten::sort",))]
    found = the_judgement(claim(**COUNT, relation=Relation.less), run)
    assert (found.ruling, found.reason) == ("unclear", "a lower bound of FLOPs: SRA")
    timed = a_run({"hilo": 0.2, "sra": 0.3}, uncounted=("aten::sort",))
    assert the_judgement(claim(), timed).ruling is Ruling.holds


def test_memory_is_compared_to_the_byte():
    more = replace(MEMORY, peak_bytes=MEMORY.peak_bytes + 1)
    run = [record("hilo", memory=MEMORY), record("sra", memory=more)]
    about = claim(metric=Metric.memory, relation=Relation.less, times=None)
    assert the_judgement(about, run).ruling is Ruling.holds
    assert (
        the_judgement(about, [record("hilo", memory=more), record("sra", memory=MEMORY)]).ruling
        is Ruling.fails
    )


def test_verdicts_are_counted():
    run = a_run({"hilo": 0.2, "sra": 0.3})
    claims = [claim(), claim(times=1.6), claim(than=("van",)), claim(times=1.5, conditions=Conditions(dim=7))]
    assert summary(judge(claims, run)) == "4 claims: 1 hold, 1 fail, 0 unclear, 2 not testable"
