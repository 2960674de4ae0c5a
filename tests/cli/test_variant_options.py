"""Ways to run a layer, from the command line."""

import pytest

from attnbench import AttnbenchError
from attnbench.cli.variant_options import read_variants


def formats(dtypes: list[str] | None, autocasts: list[str] | None) -> list[str]:
    return [variant.dtype for variant in read_variants(None, dtypes, autocasts, None, None)]


def test_autocast_stands_beside_the_formats_that_are_asked_for():
    assert formats(None, ["bfloat16"]) == ["float32", "autocast-bfloat16"]
    assert formats(["bfloat16"], ["float16,bfloat16"]) == [
        "bfloat16", "autocast-float16", "autocast-bfloat16",
    ]  # fmt: skip


def test_autocast_alone_is_a_format_and_is_measured_once():
    assert formats(["autocast-bfloat16"], None) == ["autocast-bfloat16"]
    assert formats(["autocast-bfloat16"], ["bfloat16"]) == ["autocast-bfloat16"]


def test_what_torch_cannot_autocast_to_is_said_with_what_it_can():
    with pytest.raises(AttnbenchError, match="--autocast is 'float32'; it can be bfloat16, float16"):
        formats(None, ["float32"])
