"""What follows from a record's samples, beside those of its block."""

from dataclasses import replace

import pytest

from attnbench.paper import claims
from attnbench.record import Sample
from attnbench.report.metrics import measured, published_ratio, rows, speed_of, verdict
from attnbench.statistics import Estimate
from tests.fakes import record

DRIFT = [1.0, 1.4, 0.8, 1.1, 2.0, 1.0]


def test_throughput_is_the_batch_over_the_median_time():
    (row,) = measured(rows([record("msa", [1.0, 2.0, 4.0, 8.0, 16.0])]))
    assert row.timing.throughput.value == 64 / 4
    assert row.timing.throughput.low == 64 / (row.timing.time_s.high or 0)
    assert row.timing.throughput.high == 64 / (row.timing.time_s.low or 0)


def test_speed_is_the_baselines_time_over_ours_in_the_same_round():
    msa, hilo = record("msa", [0.4 * d for d in DRIFT]), record("hilo", [0.2 * d for d in DRIFT])
    shuffled = replace(hilo, samples=hilo.samples[::-1])
    speed = measured(rows([msa, shuffled]))[1].timing.speed
    assert speed is not None
    assert (speed.value, speed.low, speed.high) == pytest.approx((2.0, 2.0, 2.0))


def test_rounds_that_only_one_member_has_are_not_compared():
    msa = record("msa", [1.0] * 6)
    hilo = replace(
        record("hilo", [0.5] * 5), samples=(*record("hilo", [0.5] * 5).samples, Sample(1, 0, 0, 9, 9))
    )
    speed = measured(rows([msa, hilo]))[1].timing.speed
    assert speed is not None
    assert (speed.value, speed.low, speed.high) == pytest.approx((2.0, 2.0, 2.0))


def test_a_baseline_of_another_block_is_no_baseline():
    msa, hilo = record("msa", [1.0] * 6), record("hilo", [0.5] * 6, height=28)
    assert [row.timing.speed is None for row in measured(rows([msa, hilo]))] == [False, True]


def test_a_row_that_was_not_measured_has_no_timing():
    assert (
        measured(rows([record("sra", [], outcome="unsupported"), record("van", [1.0], outcome="wrong")]))
        == []
    )


def test_the_published_row_stands_beside_its_own_setting_only():
    plain, other = rows([record("hilo", [1.0] * 5), record("hilo", [1.0] * 5, batch=8)])
    assert plain.published is not None
    assert other.published is None
    assert published_ratio(plain) == pytest.approx(1029 / 505)
    assert published_ratio(other) is None


def test_a_gpu_is_set_beside_the_papers_gpu():
    (row,) = rows([record("hilo", [1.0] * 5, device="cuda")])
    assert published_ratio(row) == pytest.approx(5104 / 4403)


def test_a_host_that_is_slower_than_its_device_is_noticed():
    samples = [Sample(0, n, 0, 1.0, 1.3) for n in range(5)]
    slow = replace(record("msa"), samples=tuple(samples), device="cuda")
    fast = replace(slow, samples=tuple(replace(sample, wall_s=1.1) for sample in samples))
    assert [row.timing.launch_bound for row in measured(rows([slow, fast]))] == [True, False]


def test_two_mechanisms_are_compared_without_the_baseline():
    table = rows([record("sra", [0.6 * d for d in DRIFT]), record("hilo", [0.2 * d for d in DRIFT])])
    speed = speed_of("hilo", "sra", "cpu", table)
    assert speed is not None
    assert speed.value == pytest.approx(3.0)
    assert speed_of("hilo", "sra", "cuda", table) is None


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        (Estimate(1.5, 1.4, 1.6), "holds"),
        (Estimate(1.4, 1.3, 1.5), "unclear"),
        (Estimate(1.2, 1.1, 1.3), "faster, but by less"),
        (Estimate(1.1, 0.9, 1.3), "does not hold"),
        (Estimate(0.5, 0.4, 0.6), "does not hold"),
        (None, "not measured in this run"),
    ],
)
def test_a_claim_is_judged_by_the_whole_interval(ours: Estimate | None, says: str):
    assert claims()[0].ratio == 1.4
    assert verdict(claims()[0], ours) == says
