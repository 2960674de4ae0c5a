"""Which records of a run are put to a claim, and why there are none."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from attnbench.analysis.block import blocks
from attnbench.analysis.evidence import Evidence, evidence, groups, listed
from attnbench.cases.case import Role
from attnbench.cases.variant import Variant
from attnbench.paper.claims import Claim, Conditions, Metric, Relation
from attnbench.records.record import Record
from attnbench.statistics import Estimate
from tests.fakes import MACHINE, MEMORY, changed, claim, exactly, in_sessions, record

TIMES = [0.3] * 6
COUNT: dict[str, Any] = {"metric": Metric.flops, "relation": Relation.less, "times": None, "device": None}
LESS_MEMORY: dict[str, Any] = {"metric": Metric.memory, "relation": Relation.less, "times": None}


def pair(hilo_s: float = 0.2, **changes: Any) -> list[Record]:
    return [record("hilo", [hilo_s] * 6, **changes), record("sra", TIMES, **changes)]


def found(about: Claim, records: Sequence[Record]) -> Evidence:
    return evidence(about, groups(records, about.metric))


def ratio(about: Claim, records: Sequence[Record]) -> Estimate | None:
    comparison = found(about, records).comparisons.get("sra")
    return comparison.ratio if comparison else None


def test_a_ratio_is_paired_within_one_block():
    apart = [record("hilo", TIMES, block="one"), record("sra", TIMES, block="two")]
    assert ratio(claim(), apart) is None
    assert found(claim(), apart).lacking == "measured apart: SRA"


def test_a_ratio_has_the_scatter_that_its_block_tells_of_both():
    hilo, sra = in_sessions("hilo", 0.0, 0.5), in_sessions("sra", 0.0, 1e-3)
    twin = in_sessions("msa", 0.0, 2e-3, role=Role.twin)
    records = [in_sessions("msa", 0.0, 1e-3), hilo, sra, twin]
    assert found(claim(), records).comparisons["sra"] == blocks(records)["block"].compared(hilo, sra)


def test_each_claim_of_a_group_has_a_ratio_of_its_own():
    candidates = groups([*pair(), record("van", [0.1] * 6)], Metric.speed)
    there = [evidence(claim(mechanism=label), candidates).comparisons["sra"] for label in ("hilo", "van")]
    assert [each.ratio for each in there] == [exactly(1.5), exactly(3.0)]


def test_what_was_measured_again_as_a_control_counts_in_its_block():
    old = pair(0.3, block="old")
    new = [record("hilo", [0.1] * 6, block="new"), record("sra", TIMES, block="new", role=Role.control)]
    assert ratio(claim(), [*old, *new]) == exactly(3.0)


def test_what_was_measured_again_no_longer_counts():
    again = [record("hilo", [0.1] * 6, block="new")]
    assert ratio(claim(), [*pair(block="old"), *again]) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"height": 7}, "measured with size 7x14, not 14x14"),
        ({"dim": 384}, "measured with dim 384, not 768"),
        ({"heads": 8}, "measured with heads 8, not 12"),
        ({"mode": "training"}, "measured with mode training, not inference"),
        ({"device": "cuda"}, "nothing was measured on a CPU"),
        ({"outcome": "out_of_memory", "samples": ()}, "out_of_memory: HILO, SRA"),
        ({"samples": ()}, "no speed in this run: HILO, SRA"),
    ],
)
def test_another_shape_mode_or_device_says_nothing_of_a_speed(changes: dict[str, Any], reason: str):
    there = found(claim(), pair(**changes))
    assert (there.comparisons, there.lacking) == ({}, reason)


def test_the_nearest_shape_is_the_one_that_is_named():
    run = [*pair(height=7, dim=384, block="far"), *pair(height=7, block="near")]
    assert found(claim(), run).lacking == "measured with size 7x14, not 14x14"


def test_an_empty_run_has_nothing_to_say():
    assert found(claim(**COUNT), []).lacking == "nothing was measured"


def test_a_mechanism_that_has_no_time_is_named_with_its_outcome():
    run = [record("hilo", TIMES), record("sra", outcome="timed_out", reason="too slow")]
    assert found(claim(than=("sra", "van")), run).lacking == "timed_out: SRA; not measured here: VAN"


def test_what_looks_like_one_of_the_run_is_said_to_be_meant():
    assert found(claim(mechanism="hillo"), pair()).lacking == ("not measured here: hillo; did you mean hilo?")
    several = claim(than=("HLIO", "sraa", "sar", "quadtree"))
    assert found(several, pair()).lacking == (
        "not measured here: HLIO, sraa, sar and 1 more; did you mean hilo, sra?"
    )


def test_a_name_of_table_iv_is_never_taken_for_another_one():
    run = [record("hilo", TIMES), record("performer", TIMES)]
    assert found(claim(than=("linformer",)), run).lacking == "not measured here: Linformer"


def test_labels_have_settings():
    about = claim(mechanism="hilo:alpha=0.5")
    assert found(about, pair()).lacking == "not measured here: hilo:alpha=0.5; did you mean hilo?"
    half = changed(record("hilo:alpha=0.5", [0.1] * 6), settings={"alpha": 0.5})
    assert ratio(about, [*pair(), half]) == exactly(3.0)


def test_another_batch_variant_machine_or_torch_is_said():
    about = claim(conditions=Conditions(torch="1.8.1", cpu="Slide rule"))
    machine = replace(MACHINE, torch="2.13.0+cpu")
    run = pair(batch=1, kernel="fused", dtype="bfloat16", compile="default", cuda_graph=True, machine=machine)
    assert [str(each) for each in found(about, run).differences] == [
        "batch 1, not 64",
        "dtype bfloat16, not float32",
        "kernel fused, not explicit",
        "compile default, not off",
        "cuda_graph True, not False",
        "machine Abacus, not Slide rule",
        "torch 2.13.0, not 1.8.1",
    ]


def test_a_setting_that_is_the_claims_or_that_it_does_not_name_is_no_difference():
    about = claim(conditions=Conditions(torch="2.13.0", cpu="Abacus"))
    assert found(about, pair()).differences == found(claim(), pair()).differences == ()
    on_gpu = claim(device="cuda", conditions=Conditions(cpu="Slide rule", gpu="Loom"))
    assert found(on_gpu, pair(device="cuda")).differences == ()


@pytest.mark.parametrize(
    ("conditions", "judged"),
    [(Conditions(), Variant()), (Conditions(variant=Variant(kernel="fused")), Variant(kernel="fused"))],
)
def test_the_variant_of_the_claim_is_judged_where_it_was_measured(conditions: Conditions, judged: Variant):
    run = [*pair(0.1, kernel="fused"), *pair(0.2)]
    assert found(claim(conditions=conditions), run).variant == judged


def test_the_variant_of_the_claim_is_judged_even_where_another_has_more_mechanisms():
    run = [*pair(kernel="fused"), record("hilo", TIMES), record("sra", outcome="crashed")]
    assert found(claim(), run).lacking == "crashed: SRA"


def test_of_variants_as_near_to_the_claim_float32_is_judged_even_where_another_has_more_mechanisms():
    fused = [record("hilo", TIMES, kernel="fused"), record("sra", outcome="crashed", kernel="fused")]
    assert found(claim(), [*pair(dtype="bfloat16"), *fused]).lacking == "crashed: SRA"


def test_a_batch_that_has_both_is_asked_before_a_nearer_one_that_has_not():
    run = [record("hilo", TIMES), *pair(0.1, batch=1, block="other")]
    assert ratio(claim(), run) == exactly(3.0)
    assert ratio(claim(), [*pair(0.1, batch=1, block="other"), *pair(0.2)]) == exactly(1.5)


def test_counts_are_compared_whatever_the_device_batch_variant_and_block():
    run = [
        record("hilo", macs=100, block="one", device="cuda", kernel="fused", batch=1, outcome="timed_out"),
        record("sra", macs=200, block="two", mode="training"),
        record("sra", macs=None, block="three", outcome="crashed"),
    ]
    assert ratio(claim(**COUNT), run) == exactly(0.5)
    assert (found(claim(**COUNT), run).variant, found(claim(**COUNT), run).differences) == (None, ())
    assert ratio(claim(**COUNT), [record("hilo", macs=1), record("sra", macs=2, height=7)]) is None


def test_memory_is_compared_across_blocks_but_not_across_batches():
    hilo, sra = record("hilo", memory=MEMORY, block="one"), record("sra", memory=MEMORY, block="two")
    assert ratio(claim(**LESS_MEMORY), [hilo, sra]) == exactly(1.0)
    assert found(claim(**LESS_MEMORY), [hilo, changed(sra, batch=1)]).lacking == "measured apart: SRA"


def test_a_run_without_memory_says_so():
    assert found(claim(**LESS_MEMORY), pair()).lacking == "no memory in this run: HILO, SRA"


def test_a_wrong_layer_has_no_memory_to_compare():
    run = [record("hilo", memory=MEMORY, outcome="wrong"), record("sra", memory=MEMORY)]
    assert found(claim(**LESS_MEMORY), run).lacking == "wrong: HILO"


def test_few_names_are_listed_and_more_are_counted():
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
