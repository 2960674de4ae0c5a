"""What a machine can do at best: calls that do what they are counted for."""

import gc

import pytest
import torch

from attnbench.machine import cpu, system
from attnbench.measuring import ceiling as ceiling_module
from attnbench.measuring.ceiling import ceiling, work


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "MATMUL_SIDE", 8)
    monkeypatch.setattr(cpu, "COPY_BYTES", 4096)
    monkeypatch.setattr(system, "last_level_cache_bytes", lambda: 1000)


@pytest.mark.parametrize(("threads", "side"), [(1, 8), (7, 8), (8, 16), (64, 32)])
def test_the_product_grows_so_that_each_thread_has_as_much_to_do(threads: int, side: int):
    limit = ceiling("matmul", "cpu", torch.float32, threads)
    assert limit.call().shape == (side, side)
    assert limit.macs == side**3
    assert limit.least_bytes == 3 * side**2 * 4


def test_bytes_follow_the_number_format():
    assert ceiling("matmul", "cpu", torch.float64, 1).least_bytes == 3 * 8**2 * 8
    assert ceiling("matmul", "cpu", torch.float64, 1).call().dtype == torch.float64
    assert ceiling("copy", "cpu", torch.bfloat16, 1).call().numel() == 2048


def test_a_copy_counts_what_is_read_and_what_is_written():
    limit = ceiling("copy", "cpu", torch.float32, 1)
    assert limit.call().nbytes == 4096
    assert (limit.macs, limit.least_bytes) == (0, 2 * 4096)


def test_a_copy_does_not_fit_into_the_last_cache(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(system, "last_level_cache_bytes", lambda: 10_000)
    limit = ceiling("copy", "cpu", torch.float32, 1)
    assert limit.call().nbytes == 10_000
    assert limit.least_bytes == 20_000


def test_a_cache_of_unknown_size_leaves_the_copy_as_large_as_usual(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(system, "last_level_cache_bytes", lambda: None)
    assert ceiling("copy", "cpu", torch.float32, 1).least_bytes == 2 * 4096


@pytest.mark.parametrize("name", ["matmul", "copy"])
def test_a_call_allocates_nothing(name: str):
    call = ceiling(name, "cpu", torch.float32, 1).call
    assert call().data_ptr() == call().data_ptr()


def test_half_precision_is_not_held_to_the_slow_layout(monkeypatch: pytest.MonkeyPatch):
    layouts = []

    def mm(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        layouts.append(right.stride())
        return out

    monkeypatch.setattr(torch, "mm", mm)
    ceiling("matmul", "cpu", torch.bfloat16, 1).call()
    assert layouts == [(1, 8)]


@pytest.mark.parametrize("name", ["matmul", "copy"])
def test_what_a_ceiling_comes_to_is_known_before_it_is_there(name: str, monkeypatch: pytest.MonkeyPatch):
    limit = ceiling(name, "cpu", torch.bfloat16, 1)
    monkeypatch.setattr(torch, "randn", None)
    assert work(name, "cpu", torch.bfloat16, 1) == (limit.macs, limit.least_bytes)


def test_formats_copy_the_same_memory():
    limits = [ceiling("copy", "cpu", dtype, 1) for dtype in (torch.float32, torch.bfloat16, torch.float64)]
    assert len({limit.call().data_ptr() for limit in limits}) == 1
    assert [limit.call().numel() for limit in limits] == [1024, 2048, 512]


def test_products_of_one_format_share_their_operands_and_those_of_two_do_not():
    formats = (torch.float32, torch.float32, torch.bfloat16)
    limits = [ceiling("matmul", "cpu", dtype, 1) for dtype in formats]
    first, again, other = (limit.call().data_ptr() for limit in limits)
    assert first == again != other


@pytest.mark.parametrize("name", ["matmul", "copy"])
def test_memory_of_a_ceiling_goes_with_it(name: str):
    limit = ceiling(name, "cpu", torch.float32, 1)
    assert len(ceiling_module._in_use) >= 2
    del limit
    gc.collect()
    assert len(ceiling_module._in_use) == 0
