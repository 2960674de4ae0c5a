"""Values as columns: they read as what they were, and take less memory."""

import pytest

from attnbench.errors import AttnbenchError
from attnbench.records.columns import Columns, column_of
from attnbench.records.record import Sample
from attnbench.records.record_line import from_line, to_line
from tests.fakes import record

ONE, OTHER = Sample(0, 0, 0, 0.5, 0.75), Sample(1, 0, 0, 0.25, 0.25, paused=True)


def columns(*samples: Sample) -> Columns[Sample]:
    return Columns(Sample, [column_of(samples, name) for name in Sample.__match_args__])


def test_columns_are_the_sequence_of_their_values():
    both = columns(ONE, OTHER)
    assert (both[1], both[-2], both[:1], len(both)) == (OTHER, ONE, (ONE,), 2)
    assert both == (ONE, OTHER)
    assert both != (OTHER, ONE)
    assert not columns()


def test_a_column_has_what_all_values_have_in_a_field():
    both = columns(ONE, OTHER)
    assert [list(column_of(those, "wall_s")) for those in (both, (ONE, OTHER))] == [[0.75, 0.25]] * 2


def test_what_python_takes_for_equal_is_kept_apart():
    """Nor is a whole number of seconds written as a fraction, alone or beside others."""
    for sample in columns(Sample(0, 0, 0, 1, 1)), columns(Sample(0, 0, 0, 1, 1), Sample(0, 1, 0, 0.5, 0.5)):
        kinds = [type(value) for value in (sample[0].session, sample[0].settling, sample[0].seconds)]
        assert kinds == [int, bool, int]
    assert [type(sample.seconds) for sample in columns(OTHER)] == [float]


def test_the_samples_of_a_record_are_read_as_columns(tmp_path):
    line = to_line(record("msa", [0.4, 0.5]))
    read = from_line(line.encode(), tmp_path, 1)
    assert isinstance(read.samples, Columns)
    assert read == record("msa", [0.4, 0.5])
    assert to_line(read) == line


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"seconds": 0.5', '"seconds": NaN', r"samples\[1\].seconds: nan is not a finite number above 0"),
        ('"round": 1', '"round": true', r"samples\[1\].round: True is not a whole number"),
        ('"round": 1, ', "", r"samples\[1\]: round missing or unknown in a sample"),
        ('"round": 1', '"round": 1, "colour": 1', r"samples\[1\]: colour missing or unknown"),
        ('"samples": [', '"samples": [7, ', r"samples\[0\]: 7 is not a sample"),
    ],
)
def test_a_sample_that_does_not_fit_is_told_by_its_place(old: str, new: str, says: str, tmp_path):
    line = to_line(record("msa", [0.4, 0.5], key="k")).replace(old, new, 1)
    with pytest.raises(AttnbenchError, match=says):
        from_line(line.encode(), tmp_path, 1)
