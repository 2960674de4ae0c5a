"""What is measured, and what is compared with what."""

import pytest

from attnbench import Geometry
from attnbench.errors import AttnbenchError
from attnbench.registry import discover
from attnbench.sweep import read_size, sweep


@pytest.mark.parametrize(("text", "size"), [("14", (14, 14)), ("14x28", (14, 28)), ("1", (1, 1))])
def test_a_size_is_one_side_or_two(text: str, size: tuple[int, int]):
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["0", "-3", "14x", "x14", "14x0", "14x28x2", "a", "", "1.5", "²"])
def test_what_is_not_a_size_is_refused(text: str):
    with pytest.raises(AttnbenchError, match="is not a size"):
        read_size(text)


def test_cases_of_one_device_and_size_make_a_block():
    registry = discover()
    geometries = [Geometry(48, 6, 2, 2), Geometry(48, 6, 2, 3)]
    choices = [registry.choose(text) for text in ("msa", "hilo:alpha=1", "hilo:alpha=1.0")]
    blocks = sweep(choices, geometries, ["cpu", "cuda"], batch=4, dtype="bfloat16", kernel="fused")
    assert [(block.device, block.geometry.size) for block in blocks] == [
        ("cpu", "2x2"), ("cpu", "2x3"), ("cuda", "2x2"), ("cuda", "2x3"),
    ]  # fmt: skip
    assert [case.label for case in blocks[0].cases] == ["msa", "hilo:alpha=1.0"]
    assert {(case.batch, case.dtype, case.kernel) for block in blocks for case in block.cases} == {
        (4, "bfloat16", "fused")
    }
