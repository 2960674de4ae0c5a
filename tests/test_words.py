"""Words as prose has them."""

import pytest

from attnbench.words import visible


@pytest.mark.parametrize(
    "hidden", ["\x00", "\x07", "\x08", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\u202e", "\u2066", "\udcff"]
)
def test_what_a_terminal_obeys_is_seen(hidden: str):
    assert visible(f"a{hidden}b{hidden}") == "a\ufffdb\ufffd"


def test_what_readers_see_stays():
    text = "HiLo × ² é e\u0301 אב \u200e注意 \U0001f600\tone\n"
    assert visible(text) == text
