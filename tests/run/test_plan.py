"""What is known before anything is measured."""

from dataclasses import replace

import pytest

from attnbench.cases.case import Block, Mode
from attnbench.cases.variant import Variant
from attnbench.records.journal import Failed, Predicted, Uncounted
from attnbench.records.record import Prediction
from attnbench.run import plan
from attnbench.run.plan import Planned, estimates_s
from tests.fakes import changed
from tests.shards import CASES, ENVIRONMENT, HILO, MSA, PROTOCOL, counted, planned

TOO_LARGE = Failed(1, "out_of_memory", "too large")


def test_the_estimate_follows_batch_and_work_up_to_the_limit():
    def seconds(
        batch: int = 1, macs: int = 10**9, max_seconds: float = 1e9, mode: Mode = Mode.inference
    ) -> float:
        protocol = replace(
            PROTOCOL, sessions=2, precision=0.9, max_seconds=max_seconds, least_rounds=5, most_warmup_s=0,
            least_warmup_s=0,
        )  # fmt: skip
        block = Block((changed(MSA, batch=batch, mode=mode),))
        found = Planned(block, ENVIRONMENT, {MSA.row: (changed(counted(0), macs=macs),)})
        (estimate,) = estimates_s([found], protocol)
        return estimate - 3 * plan.WORKER_START_S

    one_call = plan.SLOWER_THAN_MATMUL
    calls = 10 + plan.MEMORY_CALLS
    assert seconds() == pytest.approx(calls * one_call)
    assert seconds(batch=4) == pytest.approx(4 * calls * one_call)
    assert seconds(macs=2 * 10**9) == pytest.approx(2 * calls * one_call)
    assert seconds(mode=Mode.training) == pytest.approx(3 * calls * one_call)
    assert seconds(max_seconds=7) == pytest.approx(7 + plan.MEMORY_CALLS * one_call)


def test_the_estimate_asks_for_the_rounds_that_precision_needs():
    loose, tight = (estimates_s([planned()], replace(PROTOCOL, precision=p))[0] for p in (0.02, 0.01))
    assert tight > loose


def test_what_is_compiled_takes_longer_once_and_in_every_session():
    eager, (compiled,) = MSA, [replace(MSA, variant=Variant(compile="default"))]
    plain, longer = estimates_s([planned((eager,)), planned((compiled,))], PROTOCOL)
    assert longer - plain == pytest.approx(8 + 2 * 2)


def test_a_block_in_which_nothing_is_timed_takes_no_time():
    assert estimates_s([planned(CASES, Failed(0, "wrong", ""), TOO_LARGE)], PROTOCOL) == [0]


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
