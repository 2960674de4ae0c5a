"""Softmax attention in one place, under every kernel."""

import math

import pytest
import torch
from torch import Tensor, nn

from attnbench import attention
from attnbench.attention import KERNELS, Kernel, attend, explicit, use_kernel
from attnbench.measure.execution import backends_of


def by_hand(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    logits = torch.einsum("...nd,...md->...nm", q, k) / math.sqrt(q.shape[-1]) + bias
    weights = logits.exp() / logits.exp().sum(dim=-1, keepdim=True)
    return torch.einsum("...nm,...me->...ne", weights, v)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("lead", [(2,), (2, 5), (2, 5, 3)], ids=str)
@pytest.mark.parametrize("bias_shape", [None, (6, 7), (4, 6, 7), (1, 1, 7)], ids=str)
def test_every_kernel_is_the_formula(kernel: str, lead: tuple[int, ...], bias_shape: tuple[int, ...] | None):
    q, k, v = (torch.randn(*lead, 4, n, d, dtype=torch.float64) for n, d in ((6, 8), (7, 8), (7, 10)))
    bias = None if bias_shape is None else torch.randn(bias_shape, dtype=torch.float64)
    with use_kernel(kernel):
        out = attend(q, k, v, bias)
    torch.testing.assert_close(out, by_hand(q, k, v, torch.zeros(()) if bias is None else bias))


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_bias_may_differ_between_windows(kernel: str):
    q, k, v = torch.randn(3, 2, 5, 4, 6, 8, dtype=torch.float64)
    bias = torch.randn(5, 1, 6, 6, dtype=torch.float64)
    with use_kernel(kernel):
        torch.testing.assert_close(attend(q, k, v, bias), by_hand(q, k, v, bias))


def test_the_choice_of_kernel_ends_with_its_context(monkeypatch: pytest.MonkeyPatch):
    used: list[str] = []

    def spy(name: str) -> Kernel:
        def attend_and_tell(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
            used.append(name)
            return explicit(q, k, v, bias)

        return attend_and_tell

    for name in KERNELS:
        monkeypatch.setitem(KERNELS, name, spy(name))
    x = torch.randn(1, 1, 2, 4)
    with use_kernel("explicit"):
        with use_kernel("fused"):
            attend(x, x, x)
        attend(x, x, x)
    assert used == ["fused", "explicit"]


def test_a_mask_asks_for_no_gradient_where_none_is_wanted():
    bias = nn.Parameter(torch.randn(4, 6, 7))
    with torch.inference_mode():
        assert not attention._mask(bias, torch.Size([2])).requires_grad
    assert attention._mask(bias, torch.Size([2])).requires_grad


@pytest.mark.parametrize(
    ("shape", "lead", "mask"),
    [
        ((6, 7), (2, 3), (1, 1, 6, 7)),
        ((4, 6, 7), (2, 3), (1, 4, 6, 7)),
        ((1, 1, 4, 6, 7), (2, 3), (1, 4, 6, 7)),
        ((3, 4, 6, 7), (2, 3), (6, 4, 6, 7)),
    ],
)
def test_a_mask_is_written_out_only_where_it_differs_between_leading_dimensions(
    shape: tuple[int, ...], lead: tuple[int, ...], mask: tuple[int, ...]
):
    assert attention._mask(torch.zeros(shape), torch.Size(lead)).shape == mask


@pytest.mark.parametrize(("keys", "row"), [(49, 56), (64, 64)])
def test_an_aligned_mask_begins_each_row_where_a_gpus_kernels_want_it(keys: int, row: int):
    bias = torch.randn(4, 49, keys)
    mask = attention.aligned(bias)
    assert torch.equal(mask, bias)
    assert mask.stride()[-2:] == (row, 1)


def test_a_cpu_takes_its_fused_kernel_for_a_bias_that_is_a_parameter():
    q, k, v = torch.randn(3, 2, 4, 16, 8).unbind()
    bias = nn.Parameter(torch.randn(4, 16, 16))
    with torch.inference_mode(), use_kernel("fused"):
        assert backends_of(lambda: attend(q, k, v, bias)) == ("flash",)
