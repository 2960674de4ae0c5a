"""How fast a machine is at best."""

from attnbench.analysis.ceilings import rate_per_s
from attnbench.records.record import Sample
from attnbench.statistics import Estimate
from tests.fakes import changed, record


def test_a_rate_is_that_of_the_samples_that_count():
    slow = [Sample(0, number, 0, 9.0, 9.0, settling=True) for number in range(9)]
    steady = [Sample(0, number, 0, 0.5, 0.7) for number in range(9, 15)]
    copy = record("ceiling/copy", samples=(*slow, *steady), mechanism="copy", macs=7, least_bytes=10)
    assert rate_per_s(copy) == Estimate(20.0, 20.0, 20.0)
    assert rate_per_s(changed(copy, mechanism="matmul")) == Estimate(14.0, 14.0, 14.0)


def test_what_was_not_measured_has_no_rate():
    assert rate_per_s(record("ceiling/copy", mechanism="copy", outcome="out_of_memory")) is None
