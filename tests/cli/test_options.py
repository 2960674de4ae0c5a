"""Options that several commands share."""

from attnbench.cli.options import split


def test_sizes_and_devices_are_lists_and_ranges_that_may_be_repeated():
    assert split(["7..21/7,14x28", "cpu", "14"]) == ["7", "14", "21", "14x28", "cpu"]
    assert split(None) == []
