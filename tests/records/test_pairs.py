"""Samples of two cases in the rounds that both have, with and without probes beside them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from attnbench.records.pairs import Pairs, paired
from attnbench.records.record import Sample

RANDOM = np.random.default_rng(0)
SPEEDS = RANDOM.lognormal(0, 0.3, (2, 40))  # of the machine in the samples of two cases


def samples(seconds: Sequence[float], probes: Sequence[float] | None = None) -> list[Sample]:
    taken = [Sample(0, number, 0, each, each) for number, each in enumerate(seconds)]
    if probes is None:
        return taken
    return [replace(one, probe_s=probe) for one, probe in zip(taken, probes, strict=True)]


def test_what_probes_saw_of_the_machine_is_taken_out():
    one, other = SPEEDS
    first, second = samples(list(3 * one), list(one)), samples(list(2 * other), list(other))
    pairs = paired(first, second)
    assert pairs.share == pytest.approx(1.0)
    assert np.divide(pairs.first, pairs.second) == pytest.approx(1.5)
    assert pairs.second == [each.seconds for each in second]


def test_probes_that_know_nothing_change_next_to_nothing():
    probes = RANDOM.lognormal(0, 0.3, (2, 40))
    first, second = (samples(list(s), list(p)) for s, p in zip(SPEEDS, probes, strict=True))
    pairs = paired(first, second)
    assert pairs.share < 0.3
    plain = paired(*(samples(list(s)) for s in SPEEDS))
    assert pairs.first == pytest.approx(plain.first, rel=0.3)
    scatter, before = (np.std(np.log(np.divide(each.first, each.second))) for each in (pairs, plain))
    assert scatter < 1.05 * before


def test_where_one_sample_has_no_probe_none_counts():
    first, second = (samples(list(s), list(s)) for s in SPEEDS)
    first[7] = replace(first[7], probe_s=None)
    assert paired(first, second) == Pairs(list(SPEEDS[0]), list(SPEEDS[1]), [0] * 40, 0.0)


def test_settling_rounds_are_in_no_pair():
    first, second = (samples(list(s)) for s in SPEEDS)
    first[0], second[1] = replace(first[0], settling=True), replace(second[1], settling=True)
    assert paired(first, second).first == list(SPEEDS[0])[2:]
