"""What follows from a record's samples, beside those of its block."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attnbench.analysis.block import MOST_CACHE_BYTES, blocks
from attnbench.analysis.rows import (
    Row,
    Timing,
    believed,
    family,
    grouped,
    is_slower,
    measured,
    published_ratio,
    rows,
    setting,
)
from attnbench.cases.case import Mode, Role
from attnbench.errors import AttnbenchError
from attnbench.mechanism import Geometry
from attnbench.records.record import Record, Sample
from attnbench.records.record_file import read
from attnbench.statistics import Estimate, Verdict
from tests.fakes import MACHINE, block, changed, exactly, record

DRIFT = [1.0, 1.4, 0.8, 1.1, 2.0, 1.0]
STEADY = [1.0] * 12
RESULTS = Path(__file__).parents[2] / "results"


def ceiling(mechanism: str, times_s: Sequence[float]) -> Record:
    """A matmul of 1 M multiply-adds that moves 2 kB, or a copy of 1 MB."""
    macs, moved = (1_000_000, 2_000) if mechanism == "matmul" else (0, 1_000_000)
    plain = record(f"ceiling/{mechanism}", times_s, batch=1, macs=macs, least_bytes=moved)
    return changed(plain, mechanism=mechanism, role=Role.ceiling)


def samples_of(one: Record, factor: float) -> tuple[Sample, ...]:
    """A record's samples, in which everything takes `factor` times as long."""
    return tuple(replace(sample, seconds=factor * sample.seconds) for sample in one.samples)


def timings(table: Sequence[Row]) -> dict[str, Timing]:
    return {row.record.case.label: row.timing for row in measured(table)}


def test_throughput_is_the_batch_over_the_median_time():
    (row,) = measured(rows([record("msa", [1.0, 2.0, 4.0, 8.0, 16.0])]))
    assert row.timing.throughput.value == 64 / 4
    assert row.timing.throughput.low == 64 / (row.timing.time_s.high or 0)
    assert row.timing.throughput.high == 64 / (row.timing.time_s.low or 0)


def test_speed_is_the_baselines_time_over_ours_in_the_same_round():
    msa, hilo, twin = block({"msa": [0.4 * d for d in DRIFT], "hilo": [0.2 * d for d in DRIFT]})
    shuffled = replace(hilo, samples=hilo.samples[::-1])
    speed = measured(rows([msa, shuffled, twin]))[1].timing.speed
    assert speed == exactly(2.0)


def test_each_variant_is_compared_with_its_own_baseline():
    msa, hilo, twin = block({"msa": [0.4 * d for d in DRIFT], "hilo": [0.2 * d for d in DRIFT]})
    fused = [changed(one, kernel="fused", samples=samples_of(one, 0.5)) for one in (msa, hilo)]
    slower = replace(fused[1], samples=samples_of(hilo, 4))
    speeds = [row.timing.speed for row in measured(rows([msa, hilo, fused[0], slower, twin]))]
    assert speeds == [None, exactly(2.0), None, exactly(0.25)]


def test_a_variant_without_a_baseline_has_no_ratio():
    msa, hilo, twin = block({"msa": [0.4 * d for d in DRIFT], "hilo": [0.2 * d for d in DRIFT]})
    (_, row) = measured(rows([msa, changed(hilo, kernel="fused"), twin]))
    assert (row.timing.speed, row.timing.baseline) == (None, None)


def test_the_limit_is_that_of_the_same_number_format():
    half = changed(ceiling("matmul", [0.001] * 6), dtype="bfloat16")
    matmul, copy = ceiling("matmul", [0.002] * 6), ceiling("copy", [0.002] * 6)
    layer = record("msa", [1.0] * 6, batch=1, macs=250_000_000, least_bytes=0)
    for records, share in (([layer], 0.5), ([changed(layer, dtype="bfloat16")], 0.25)):
        copies = [copy, changed(copy, dtype="bfloat16")]
        (row,) = measured(rows([*records, matmul, half, *copies]))
        assert row.timing.limit is not None
        assert row.timing.limit.fraction.value == pytest.approx(share)


def test_rounds_are_told_apart_by_their_session():
    drift = [*DRIFT, *(3 * d for d in DRIFT)]
    found = timings(rows(block({"msa": [0.4 * d for d in drift], "hilo": [0.2 * d for d in drift]}, 2)))
    assert found["hilo"].speed == exactly(2.0)
    assert (found["hilo"].rounds, found["hilo"].sessions) == (12, 2)
    assert found["hilo"].session_spread == pytest.approx(2.0)
    gap = [replace(one, samples=tuple(replace(each, session=3 * each.session) for each in one.samples))
           for one in block({"msa": drift}, 2)]  # fmt: skip
    assert timings(rows(gap))["msa"].sessions == 2


def test_the_spread_of_speeds_is_that_of_the_sessions_ratios():
    found = timings(rows(block({"msa": [0.2] * 6 + [0.4] * 6, "hilo": [0.2] * 6 + [0.2] * 6}, 2)))
    assert found["hilo"].speed_spread == pytest.approx(1.0)
    assert found["hilo"].session_spread == 0.0
    assert found["msa"].speed_spread is None
    assert timings(rows(block({"msa": STEADY})))["msa"].session_spread is None
    assert timings(rows(block({"msa": STEADY, "hilo": STEADY})))["hilo"].speed_spread is None


def test_rounds_that_only_one_member_has_are_not_compared():
    msa, hilo, twin = block({"msa": [1.0] * 6, "hilo": [0.5] * 5})
    longer = replace(hilo, samples=(*hilo.samples, Sample(1, 0, 0, 9, 9)))
    speed = timings(rows([msa, longer, twin]))["hilo"].speed
    assert speed == exactly(2.0)


def test_members_without_a_round_in_common_are_not_compared():
    msa, hilo, twin = block({"msa": [1.0] * 6, "hilo": ()})
    elsewhere = replace(hilo, samples=(Sample(1, 0, 0, 9, 9),))
    found = timings(rows([msa, elsewhere, twin]))["hilo"]
    assert (found.baseline, found.speed, found.verdict) == ("msa", None, None)


def test_a_baseline_of_another_block_is_no_baseline():
    table = rows([*block({"msa": STEADY}, block="one"), record("hilo", STEADY, block="another")])
    found = timings(table)["hilo"]
    assert (found.baseline, found.speed, found.noise_floor) == (None, None, None)


def test_the_twins_original_is_the_baseline_and_is_compared_with_nothing():
    found = timings(rows(block({"hilo": STEADY, "msa": STEADY})))
    assert (found["msa"].baseline, found["hilo"].baseline) == ("hilo", "hilo")
    assert (found["hilo"].speed, found["hilo"].verdict) == (None, None)
    assert found["msa"].verdict is Verdict.same


def test_the_twin_gives_the_noise_floor_that_verdicts_must_pass():
    msa, hilo, twin = block({"msa": STEADY, "hilo": [0.8] * 12})
    noisy = changed(record("msa", [1.04] * 12), role=Role.twin)
    noisier = changed(record("msa", [1.3] * 12), role=Role.twin)
    quiet, loud, louder = (timings(rows([msa, hilo, again]))["hilo"] for again in (twin, noisy, noisier))
    assert [quiet.noise_floor, loud.noise_floor, louder.noise_floor] == pytest.approx([0.0, 0.04, 0.3])
    assert [quiet.verdict, loud.verdict, louder.verdict] == ["faster", "faster", "unclear"]


def test_another_baseline_can_be_asked_for_and_the_noise_floor_stays_the_twins():
    records = block({"msa": STEADY, "hilo": [0.5] * 12})
    records[-1] = replace(records[-1], samples=record("msa", [1.04] * 12).samples)
    found = timings(rows(records, "hilo"))
    assert found["msa"].speed == exactly(0.5)
    assert (found["msa"].verdict, found["msa"].baseline) == (Verdict.slower, "hilo")
    assert found["hilo"].speed is None
    assert found["hilo"].noise_floor == pytest.approx(0.04)


def test_a_baseline_that_no_row_has_is_the_users_mistake():
    records = [*block({"msa": STEADY, "hilo": STEADY}), ceiling("matmul", STEADY)]
    with pytest.raises(AttnbenchError) as caught:
        rows(records, "HLIO")
    assert str(caught.value) == (
        "'HLIO' is not in this run; --baseline can be msa, hilo. Did you mean 'hilo'?"
    )


def test_a_baseline_may_be_a_title_and_may_name_a_setting_that_has_its_default():
    records = block({"msa": STEADY, "hilo": STEADY})
    records[1] = changed(records[1], title="High Low", settings={"alpha": 0.9, "window": 2})
    for asked in ("high low", "HiLo:window=2,alpha=0.9"):
        assert timings(rows(records, asked))["msa"].baseline == "hilo"
        assert blocks(records, asked)["block"].baseline_label == "hilo"


def test_rows_of_some_mechanisms_alone_are_those_among_all():
    """Their verdicts are corrected for all others; where some have other threads, they name their own."""
    mostly = [0.8] * 10 + [1.25] * 2  # that so many of twelve are faster is by chance in 4 of 100 runs
    records = block({"msa": STEADY, "hilo": mostly, "sra": STEADY, "xca": STEADY, "van": STEADY})
    assert timings(rows([*records[:2], records[-1]]))["hilo"].verdict is Verdict.faster
    several = [*records, *(changed(each, threads=1) for each in block({"pvt": STEADY}, block="other"))]
    for run, threads in ((records, None), (several, 2)):
        hilo = next(row for row in rows(run) if row.record.case.label == "hilo")
        assert rows(run, only=["HiLo"]) == [hilo]
        assert hilo.timing is not None
        assert (hilo.timing.verdict, hilo.threads) == (Verdict.unclear, threads)
    with pytest.raises(AttnbenchError, match=r"^The run has no 'hlio'\. Did you mean 'hilo'\? It has msa, "):
        rows(records, only=["hlio"])


def test_a_time_that_is_impossible_counts_for_nobody_though_nobody_asks_for_it():
    """Four verdicts of faster beside it would make one of a ratio that is by chance in 4 of 100 runs."""
    quick = dict.fromkeys(("sra", "xca", "van", "pvt"), [0.5] * 12)
    times = {"msa": STEADY, "hilo": [0.8] * 10 + [1.25] * 2, "swin": STEADY, **quick}
    run = [*block(times, batch=1, macs=1_000_000), ceiling("matmul", [0.8] * 12)]
    (hilo,) = rows(run, only=["hilo"])
    assert hilo in rows(run)
    assert hilo.timing is not None
    assert hilo.timing.verdict is Verdict.unclear


def test_a_control_is_the_baseline_and_no_row():
    _, hilo, twin = block({"msa": STEADY, "hilo": [0.5] * 12})
    control = changed(record("msa", STEADY), role=Role.control)
    found = timings(rows([control, hilo, twin]))
    assert list(found) == ["hilo"]
    assert found["hilo"].speed == exactly(2.0)
    assert found["hilo"].noise_floor == pytest.approx(0.0)


def test_a_later_record_of_the_same_case_takes_the_place_of_the_earlier():
    msa, hilo, twin = block({"msa": STEADY, "hilo": STEADY})
    again = record("msa", [3.0] * 12)
    table = rows([msa, hilo, twin, again])
    assert [row.record.case.label for row in table] == ["msa", "hilo"]
    assert timings(table)["msa"].time_s.value == 3.0
    assert timings(table)["hilo"].speed == exactly(3.0)


def test_a_record_of_another_setting_takes_nobodys_place():
    plain = record("msa", STEADY)
    settings = {"batch": 8, "height": 7, "dtype": "float16", "device": "cuda", "kernel": "fused", "dim": 96}
    others = [changed(plain, **{name: value}) for name, value in settings.items()]
    assert len(rows([plain, *others, changed(plain, threads=1)])) == 8


def test_a_case_measured_again_is_judged_in_its_new_block():
    old = block({"msa": STEADY, "hilo": STEADY}, block="old")
    new = block({"msa": STEADY, "hilo": [0.5] * 12}, block="new")
    assert timings(rows([*old, *new]))["hilo"].speed == exactly(2.0)


def test_the_share_of_the_limit_is_the_ceilings_time_for_our_work_over_ours():
    # Ours does 2 × 3 M multiply-adds and moves 4 MB in 10 s; a matmul does 1 M in 1 s, a copy 1 MB in 0.5 s.
    ours = record("msa", [10.0] * 6, batch=2, macs=3_000_000, least_bytes=4_000_000)
    (row,) = measured(rows([ours, ceiling("matmul", [1.0] * 6), ceiling("copy", [0.5] * 6)]))
    assert row.timing.limit is not None
    assert row.timing.limit.fraction == exactly(0.6)
    assert row.timing.limit.by == "compute"


def test_a_layer_that_moves_much_and_computes_little_is_limited_by_memory():
    ours = record("msa", [10.0] * 6, batch=2, macs=500_000, least_bytes=4_000_000)
    (row,) = measured(rows([ours, ceiling("matmul", [1.0] * 6), ceiling("copy", [0.5] * 6)]))
    assert row.timing.limit is not None
    assert row.timing.limit.fraction.value == pytest.approx(0.2)
    assert row.timing.limit.by == "memory"


def test_the_share_of_the_limit_is_paired_by_round_and_leaves_out_rounds_that_are_not_shared():
    ours = record("msa", [*(10 * d for d in DRIFT), 90.0], batch=1, macs=5_000_000, least_bytes=1)
    matmul, copy = ceiling("matmul", [*DRIFT, 0.1]), ceiling("copy", DRIFT)
    (row,) = measured(rows([ours, matmul, copy]))
    assert row.timing.limit is not None
    assert row.timing.limit.fraction == exactly(0.5)


def test_each_rounds_share_of_the_limit_is_that_of_its_median_sample():
    several = [
        Sample(0, number, n, seconds, seconds)
        for number in range(6)
        for n, seconds in enumerate((5.0, 10.0, 30.0))
    ]
    ours = record("msa", samples=tuple(several), batch=1, macs=5_000_000, least_bytes=1)
    (row,) = measured(rows([ours, ceiling("matmul", [1.0] * 6), ceiling("copy", [1.0] * 6)]))
    assert row.timing.limit is not None
    assert row.timing.limit.fraction == exactly(0.5)


def test_the_interval_of_a_share_of_the_limit_draws_rounds_within_their_sessions():
    ours = record("msa", [10.0] * 6 + [20.0] * 6, 2, batch=1, macs=5_000_000, least_bytes=1)
    second = tuple(replace(each, seconds=1.0) for each in ours.samples)
    limits = [replace(ceiling(name, []), samples=second) for name in ("matmul", "copy")]
    (row,) = measured(rows([ours, *limits]))
    assert row.timing.limit is not None
    assert row.timing.limit.fraction == exactly(0.375)


def judged(ours: Record, matmul_s: float, copy_s: float) -> bool:
    """Whether a record is impossible, where 1 M multiply-adds and 1 MB take so many seconds."""
    matmul, copy = ceiling("matmul", [matmul_s] * 6), ceiling("copy", [copy_s] * 6)
    return timings(rows([ours, matmul, copy]))["msa"].impossible


def test_what_is_faster_than_its_products_allow_is_impossible():
    ours = record("msa", [1.0] * 6, batch=1, macs=1_000_000, least_bytes=0)
    assert [judged(ours, second, 1e-9) for second in (1.05, 1.15)] == [False, True]


def test_what_is_faster_than_the_bytes_allow_that_no_cache_holds_is_impossible():
    held = MACHINE.last_level_cache_bytes or 0
    beyond = record("msa", [1.0] * 6, batch=1, macs=0, least_bytes=held + 1_000_000)
    assert [judged(beyond, 1e-9, second) for second in (1.05, 1.15)] == [False, True]
    assert not judged(changed(beyond, least_bytes=held), 1e-9, 1e9)


def test_no_cache_of_a_gpu_is_known_and_the_largest_is_taken_for_it():
    ours = record("msa", [1.0] * 6, device="cuda", batch=1, macs=0)
    for beyond, expected in ((1_000_000, True), (0, False)):
        assert judged(changed(ours, least_bytes=MOST_CACHE_BYTES + beyond), 1e-9, 1.15) is expected


def test_what_could_not_be_counted_is_judged_by_bytes_alone():
    ours = record("msa", [1.0] * 6, batch=1, macs=1_000_000, least_bytes=0)
    assert not judged(changed(ours, uncounted=("aten::x",)), 100.0, 1e-9)
    assert judged(changed(ours, uncounted=("aten::x",), least_bytes=10**8), 1e-9, 1.15)
    through = replace(changed(ours, batch=64), cost=None)  # 2 · 64 · 196 · 768 numbers of 4 bytes
    assert [judged(through, 1e-9, second) for second in (0.02, 0.03)] == [False, True]


def test_what_autocast_returns_may_be_in_the_format_of_its_products():
    dtype = "autocast-bfloat16"  # 64 · 196 · 768 numbers of 4 bytes in, of 2 bytes out, less 32 MiB
    through = changed(replace(record("msa", [1.0] * 6), cost=None), dtype=dtype)
    for second, expected in ((0.03, False), (0.05, True)):
        copy = changed(ceiling("copy", [second] * 6), dtype="bfloat16")
        assert timings(rows([through, copy]))["msa"].impossible is expected


def test_an_impossible_time_needs_an_interval_that_is_all_beyond_the_limit():
    ours = record("msa", [1.0] * 5 + [0.5] * 6, batch=1, macs=600_000, least_bytes=0)
    assert not judged(ours, 1.0, 1e-9)  # 1.2 in the median, 0.6 at the low end
    assert not judged(record("msa", [1.0] * 4, batch=1, macs=10_000_000, least_bytes=0), 1.0, 1e-9)


def test_no_verdict_rests_on_a_control_whose_time_is_impossible():
    msa, hilo, twin = block({"msa": [0.5] * 12, "hilo": [0.9] * 12}, batch=1, macs=1_000_000)
    control = changed(msa, role=Role.control)
    found = timings(rows([control, hilo, twin, ceiling("matmul", [0.8] * 12)]))
    assert (found["hilo"].verdict, found["hilo"].impossible) == (Verdict.unclear, False)


def test_no_verdict_rests_on_a_time_that_is_impossible():
    records = block({"msa": STEADY, "hilo": [0.5] * 12, "sra": [0.9] * 12}, batch=1, macs=1_000_000)
    limits = [ceiling("matmul", [0.8] * 12), ceiling("copy", [1e-9] * 12)]
    found = timings(rows([*records, *limits]))
    assert [found[label].impossible for label in ("msa", "hilo", "sra")] == [False, True, False]
    assert [found[label].verdict for label in ("hilo", "sra")] == [Verdict.unclear, Verdict.faster]
    beside = timings(rows([*records, *limits], "hilo"))
    assert {beside[label].verdict for label in ("msa", "sra")} == {Verdict.unclear}
    assert [row.record.case.label for row in believed(rows([*records, *limits]))] == ["msa", "sra"]


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/records.jsonl")), ids=lambda path: path.parent.name)
def test_no_time_of_a_kept_run_is_impossible(path: Path):
    records = read(path.parent).records
    in_blocks = blocks(records)
    assert [record.case for record in records if in_blocks[record.block].is_impossible(record)] == []


def test_a_call_of_training_has_the_work_of_three_forward_passes():
    ours = record("msa", [12.0] * 6, batch=2, macs=1_000_000, least_bytes=0, mode=Mode.training)
    (row,) = measured(rows([ours, ceiling("matmul", [1.0] * 6), ceiling("copy", [0.5] * 6)]))
    assert row.timing.limit is not None
    assert row.timing.limit.fraction == exactly(0.5)


def test_what_holds_no_product_has_no_share_of_a_limit():
    ours = record("msa", STEADY, macs=0)
    (row,) = measured(rows([ours, ceiling("matmul", STEADY), ceiling("copy", STEADY)]))
    assert row.timing.limit is None


def test_without_both_ceilings_there_is_no_share_of_a_limit():
    (row,) = measured(rows([record("msa", STEADY), ceiling("matmul", STEADY)]))
    assert row.timing.limit is None


def test_a_row_has_converged_when_its_ratio_is_precise_and_the_baseline_when_its_level_is_twice_as_wide():
    wide, drifting = [0.9, 1.1] * 6, [0.97, 1.03] * 6
    found = timings(rows(block({"msa": STEADY, "hilo": STEADY, "sra": wide})))
    assert [found[name].converged for name in ("msa", "hilo", "sra")] == [True, True, False]
    assert not timings(rows(block({"msa": STEADY, "hilo": drifting})))["hilo"].converged
    assert not timings(rows(block({"msa": wide, "hilo": STEADY})))["hilo"].converged  # its level is precise
    together = timings(rows(block({"msa": wide, "hilo": wide})))
    assert [together[name].converged for name in ("msa", "hilo")] == [False, True]
    assert timings(rows(block({"msa": drifting, "hilo": drifting})))["msa"].converged


def test_all_verdicts_of_a_run_are_corrected_together():
    ups_and_downs = [0.9] * 9 + [1.2]  # significant alone: p = 0.02
    lucky = block({"msa": [1.0] * 10, "hilo": ups_and_downs}, block="0")
    others = [record for n in range(1, 9) for record in block({"msa": [1.0] * 10, "hilo": [0.9, 1.1] * 5},
                                                              block=str(n), height=n)]  # fmt: skip
    assert timings(rows(lucky))["hilo"].verdict is Verdict.faster
    assert rows([*lucky, *others])[1].timing.verdict is Verdict.unclear  # type: ignore[union-attr]


def test_a_row_that_was_not_measured_has_no_timing():
    unmeasured = [record("sra", outcome="unsupported"), record("van", [1.0], outcome="wrong"), record("hilo")]
    assert measured(rows(unmeasured)) == []
    assert len(rows(unmeasured)) == 3


def test_a_baseline_that_failed_compares_nothing():
    msa, hilo, twin = block({"msa": STEADY, "hilo": STEADY})
    failed = replace(msa, outcome="crashed")
    found = timings(rows([failed, hilo, twin]))["hilo"]
    assert (found.baseline, found.speed, found.noise_floor) == (None, None, None)


def test_the_published_row_stands_beside_its_own_setting_only():
    plain, other = rows([record("hilo", STEADY), record("hilo", STEADY, batch=8)])
    assert plain.published is not None
    assert other.published is None
    assert published_ratio(plain) == pytest.approx(1029 / 505)
    assert published_ratio(other) is None
    asked = rows(block({"hilo": STEADY, "sra": STEADY}))[1]
    assert published_ratio(asked) == pytest.approx(710 / 1029)


def test_nothing_is_published_of_a_device_that_the_paper_has_not():
    (row,) = rows([record("hilo", STEADY, device="xpu")])
    assert row.published is None


def test_only_inference_in_float32_is_set_beside_the_paper():
    others = rows([record("hilo", STEADY, mode="training"), record("hilo", STEADY, dtype="bfloat16")])
    assert [row.published for row in others] == [None, None]


def test_rows_of_one_table_share_their_setting_and_its_devices_stand_side_by_side():
    settings: dict[str, Any] = {"batch": 8, "height": 7, "width": 7, "dtype": "float16", "kernel": "fused"}
    settings |= {"dim": 96, "heads": 6, "mode": "training"}
    others = [record("msa", STEADY, **{name: value}) for name, value in settings.items()]
    gpu, hilo = record("msa", STEADY, device="cuda"), record("hilo", STEADY)
    table = grouped(rows([record("msa", STEADY), *others, gpu, hilo]), setting)
    assert [len(together) for together in table] == [3] + [1] * len(settings)
    assert [(row.record.case.label, row.device) for row in table[0]] == [
        ("msa", "cpu"), ("msa", "cuda"), ("hilo", "cpu"),
    ]  # fmt: skip


def test_what_differs_in_size_and_mode_alone_is_one_family():
    same = rows(
        [record("msa"), record("hilo", height=7), record("msa", width=7), record("msa", mode="training")]
    )
    assert len(grouped(same, family)) == 1
    settings: dict[str, Any] = {
        "batch": 8,
        "dtype": "float16",
        "kernel": "fused",
        "dim": 96,
        "heads": 6,
        "device": "cuda",
    }
    others = rows([record("msa"), *(record("msa", **{name: value}) for name, value in settings.items())])
    model = replace(record("msa").case.workload.geometry, images=True)
    assert len(grouped(rows([record("msa"), record("msa", geometry=model)]), family)) == 2
    assert len(grouped(others, family)) == 7


def test_a_row_says_where_it_is_from():
    table = rows([record("msa"), record("msa", height=7, batch=4, device="cuda", mode=Mode.training)])
    assert [row.where for row in table] == ["cpu 14x14 batch 64", "cuda 7x14 batch 4 training"]


def test_the_side_of_a_map_is_the_root_of_its_tokens():
    assert [row.side for row in rows([record("msa"), record("msa", height=7, width=28)])] == [14, 14]


def test_a_gpu_is_set_beside_the_papers_gpu():
    (row,) = rows([record("hilo", STEADY, device="cuda")])
    assert published_ratio(row) == pytest.approx(5104 / 4403)


def test_a_host_that_is_slower_than_its_device_is_noticed():
    slow = changed(record("msa"), samples=tuple(Sample(0, n, 0, 1.0, 1.3) for n in range(5)), device="cuda")
    fast = changed(slow, samples=tuple(Sample(0, n, 0, 1.0, 1.1) for n in range(5)), height=7)
    assert [row.timing.launch_bound for row in measured(rows([slow, fast]))] == [True, False]


def test_neither_settling_samples_nor_a_single_slow_one_make_a_layer_launch_bound():
    settling = [Sample(0, n, 0, 9.0, 99.0, settling=True) for n in range(6)]
    later = [Sample(0, n, 0, 1.0, 9.0 if n == 6 else 1.1) for n in range(6, 11)]
    (row,) = measured(rows([changed(record("msa"), samples=(*settling, *later), device="cuda")]))
    assert not row.timing.launch_bound


@pytest.mark.parametrize(
    ("speed", "verdict", "share", "slower"),
    [
        (0.9, Verdict.slower, 0.1, True),  # 1 / 0.9 is 11 % longer
        (0.9, Verdict.slower, 0.12, False),
        (0.9, Verdict.unclear, 0.1, False),
        (1.5, Verdict.faster, 0.1, False),
        (0.9, Verdict.slower, None, False),
    ],
)
def test_slower_by_a_share_is_a_verdict_on_a_longer_time(
    speed: float, verdict: Verdict, share: float | None, slower: bool
):
    assert is_slower(Estimate(speed), verdict, share) is slower


def test_what_was_not_compared_is_not_slower():
    assert not is_slower(None, None, 0.1)


@pytest.mark.parametrize(
    ("changes", "imgs_per_s"),
    [
        ({}, 1471),
        ({"batch": 8}, 1471),
        ({"device": "cpu"}, None),
        ({"mode": Mode.training}, None),
        ({"geometry": Geometry.image(256, 256)}, None),
    ],
)
def test_what_was_printed_of_a_model_stands_beside_a_forward_pass_on_its_images(
    changes: dict[str, Any], imgs_per_s: int | None
):
    setting: dict[str, Any] = {"geometry": Geometry.image(224, 224), "device": "cuda"} | changes
    (row,) = rows([record("litv2-s", STEADY, **setting)])
    assert (row.published and row.published.imgs_per_s(row.device)) == imgs_per_s


def threads_of(*counts: int) -> list[Record]:
    """A run with a block for each number of threads, in which HiLo is as many times as fast."""
    return [
        found
        for count in counts
        for found in block(
            {"msa": STEADY, "hilo": [1.0 / count] * 12}, block=f"{count} threads", threads=count
        )
    ]


def test_rows_say_how_many_threads_they_had_where_a_run_has_several_numbers():
    table = rows(threads_of(1, 2))
    assert [row.threads for row in table] == [1, 1, 2, 2]
    assert [row.setting for row in table[1:3]] == [
        "cpu 14x14 batch 64, 1 thread", "cpu 14x14 batch 64, 2 threads",
    ]  # fmt: skip
    assert {row.threads for row in rows(threads_of(2))} == {None}
    assert {row.setting for row in rows(threads_of(2))} == {"cpu 14x14 batch 64"}


def test_ratios_stay_inside_a_number_of_threads():
    table = rows(threads_of(1, 2))
    speeds = [row.timing.speed.value for row in measured(table) if row.timing.speed]
    assert speeds == [1.0, 2.0]


def test_numbers_of_threads_share_neither_a_table_nor_a_curve():
    table = rows(threads_of(1, 2))
    assert [len(together) for together in grouped(table, setting)] == [2, 2]
    assert [len(together) for together in grouped(table, family)] == [2, 2]
