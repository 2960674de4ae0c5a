"""What is known before anything is measured."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from attnbench.cases.case import Block, Case, Mode
from attnbench.cases.protocol import WORKER_START_S
from attnbench.cases.variant import Variant
from attnbench.records.journal import Failed, Predicted, Uncounted
from attnbench.records.record import Prediction
from attnbench.run import plan
from attnbench.run.plan import Forecast, Planned, forecasts
from tests.fakes import changed
from tests.shards import CASES, ENVIRONMENT, HILO, MSA, PROTOCOL, counted, planned

TOO_LARGE = Failed(1, "out_of_memory", "too large")


def test_the_estimate_follows_layers_batch_and_work_up_to_the_limit():
    def seconds(
        cases: Sequence[Case] = (MSA,),
        batch: int = 1,
        macs: int = 10**9,
        max_seconds: float = 1e9,
        mode: Mode = Mode.inference,
    ) -> float:
        protocol = replace(
            PROTOCOL, sessions=2, precision=0.9, max_seconds=max_seconds, least_rounds=5, most_warmup_s=0,
            least_warmup_s=0,
        )  # fmt: skip
        block = Block(tuple(changed(case, batch=batch, mode=mode) for case in cases))
        counts = {case.row: (changed(counted(0), macs=macs),) for case in cases}
        found = Planned(block, ENVIRONMENT, counts)
        (forecast,) = forecasts([found], protocol)
        return forecast.seconds - 3 * WORKER_START_S

    one_call = plan.SLOWER_THAN_MATMUL
    calls = 10 + plan.MEMORY_CALLS
    assert seconds() == pytest.approx(calls * one_call)
    assert seconds((MSA, HILO)) == pytest.approx(2 * calls * one_call)
    assert seconds(batch=4) == pytest.approx(4 * calls * one_call)
    assert seconds(macs=2 * 10**9) == pytest.approx(2 * calls * one_call)
    assert seconds(mode=Mode.training) == pytest.approx(3 * calls * one_call)
    assert seconds(max_seconds=7 * one_call) == pytest.approx((7 + plan.MEMORY_CALLS) * one_call)


def test_the_estimate_asks_for_the_rounds_that_precision_needs():
    loose, tight = (forecasts([planned()], replace(PROTOCOL, precision=p))[0] for p in (0.02, 0.01))
    assert tight.rounds > loose.rounds > 2 * PROTOCOL.least_rounds
    assert tight.seconds > loose.seconds


def test_a_block_is_forecast_at_the_rate_of_its_own_device():
    on_a_gpu = tuple(replace(case, device="cuda") for case in (MSA, HILO))
    environment = replace(ENVIRONMENT, rates={"cuda": 10 * ENVIRONMENT.macs_per_s})
    slow, fast = (
        forecasts([replace(planned(cases), environment=environment)], PROTOCOL)[0]
        for cases in ((MSA, HILO), on_a_gpu)
    )
    assert fast.seconds < slow.seconds


def test_the_forecast_has_no_more_rounds_than_the_time_buys_beside_warm_up():
    protocol = replace(PROTOCOL, sessions=1, precision=1e-3, max_seconds=100, min_sample_s=1.0)
    (forecast,) = forecasts([planned((MSA,))], protocol)
    assert forecast.rounds == 99  # of a second each, beside 0.3 of warm-up


def test_every_session_warms_up():
    long = replace(PROTOCOL, sessions=3, max_seconds=1e6, least_warmup_s=1.0, most_warmup_s=2.0)
    without, with_it = (
        forecasts([planned((MSA,))], each)[0]
        for each in (replace(long, least_warmup_s=0, most_warmup_s=0), long)
    )
    assert with_it.seconds - without.seconds == pytest.approx(3 * 1.0)


def test_what_is_compiled_takes_longer_once_and_in_every_session():
    eager, (compiled,) = MSA, [replace(MSA, variant=Variant(compile="default"))]
    plain, longer = forecasts([planned((eager,)), planned((compiled,))], PROTOCOL)
    assert longer.seconds - plain.seconds == pytest.approx(8 + 2 * 2)


def test_a_block_in_which_nothing_is_timed_takes_no_time():
    assert forecasts([planned(CASES, Failed(0, "wrong", ""), TOO_LARGE)], PROTOCOL) == [Forecast(0.0, 0)]


def test_the_work_of_a_block_is_that_of_its_members_whether_they_fit_or_not():
    assert planned(CASES, TOO_LARGE).work == 2 * 2 * 1000
    assert planned((changed(MSA, batch=3, mode=Mode.training),)).work == 3 * 3 * 1000


def test_where_nothing_was_counted_the_closed_form_says_how_much_work_it_is():
    found = {**planned().found, HILO.row: (Uncounted(0, "too large", 5000),)}
    assert replace(planned(), found=found).work == 2 * (1000 + 5000)


def test_a_case_fits_unless_it_is_predicted_not_to():
    found = {**planned().found, HILO.row: (Predicted(0, Prediction(9, 8)), TOO_LARGE)}
    assert planned().fitting == {one.row for one in CASES}
    assert HILO.row not in replace(planned(), found=found).fitting


def test_energy_takes_its_time_of_each_layer_and_of_the_device_at_rest():
    plain, longer = (forecasts([planned()], replace(PROTOCOL, energy_s=each))[0].seconds for each in (0, 0.5))
    assert longer == pytest.approx(plain + PROTOCOL.sessions * 0.5 * (len(planned().macs) + 1))
