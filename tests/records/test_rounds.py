"""Samples by round, of which the baseline has several."""

from attnbench.records.record import Sample
from attnbench.records.rounds import all_rounds, by_round, paired, ratios


def samples(*found: tuple[int, int, float], settling: bool = False) -> list[Sample]:
    return [
        Sample(session, number, 0, seconds, seconds, settling=settling) for session, number, seconds in found
    ]


def test_all_samples_of_a_round_stand_together_and_settling_ones_are_left_out():
    taken = samples((0, 0, 0.1), (0, 1, 0.2), (0, 0, 0.3)) + samples((0, 2, 9.0), settling=True)
    assert by_round(taken) == {(0, 0): (0.1, 0.3), (0, 1): (0.2,)}


def test_rounds_stand_in_order_and_one_that_was_cut_short_repeats_what_it_has():
    values, sessions = all_rounds({(1, 0): (3.0, 4.0, 5.0), (0, 1): (1.0, 2.0)})
    assert values.tolist() == [[1.0, 2.0, 1.0], [3.0, 4.0, 5.0]]
    assert sessions == [0, 1]


def test_pairs_are_made_within_the_rounds_that_both_have():
    base, other = (
        {(0, 0): (2.0, 4.0), (0, 1): (2.0, 2.0), (1, 0): (1.0, 1.0)},
        {(1, 0): (2.0,), (0, 0): (4.0,)},
    )
    ours, theirs, sessions = paired(base, other)
    assert (ours.tolist(), theirs.tolist(), sessions) == ([[2.0, 4.0], [1.0, 1.0]], [[4.0], [2.0]], [0, 1])
    values, sessions = ratios(base, other)
    assert (values.tolist(), sessions) == ([[0.5, 1.0], [0.5, 0.5]], [0, 1])
    assert len(ratios(base, {})[0]) == 0
