"""Options that several commands share."""

import pytest

from attnbench.cli.options import read_bytes, split
from attnbench.errors import AttnbenchError


def test_sizes_and_devices_are_lists_and_ranges_that_may_be_repeated():
    assert split(["7..21/7,14x28", "cpu", "14"]) == ["7", "14", "21", "14x28", "cpu"]
    assert split(None) == []


@pytest.mark.parametrize("text", ["GiB", "2 GiBs", "2 GiB or so", "1.2.3GiB"])
def test_an_amount_of_memory_is_a_number_and_a_unit_and_nothing_else(text: str):
    with pytest.raises(AttnbenchError, match="it must be an amount of memory such as 2GiB or 500MiB"):
        read_bytes("--memory-limit", text)
