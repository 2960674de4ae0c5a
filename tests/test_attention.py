"""Softmax attention in one place, under every kernel."""

import math

import pytest
import torch
from torch import Tensor

from attnbench.attention import KERNELS, Kernel, attend, explicit, use_kernel


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
