"""Softmax attention in one place, under every kernel."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from attnbench import attention
from attnbench.attention import KERNELS, Kernel, attend, explicit, use_kernel
from attnbench.measuring.execution import BACKENDS, backends_of


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


@pytest.mark.parametrize("most", [1, 2, 3, 5])
@pytest.mark.parametrize("bias_shape", [None, (6, 7), (4, 6, 7), (5, 1, 6, 7), (5, 4, 6, 7)], ids=str)
def test_launches_of_parts_are_the_launch_of_all(
    most: int, bias_shape: tuple[int, ...] | None, monkeypatch: pytest.MonkeyPatch
):
    q, k, v = (torch.randn(2, 5, 4, n, 8, requires_grad=True) for n in (6, 7, 7))
    bias = None if bias_shape is None else torch.randn(bias_shape, requires_grad=True)
    learning = [x for x in (q, k, v, bias) if x is not None]

    def results() -> list[Tensor]:
        out = attention.fused(q, k, v, bias)
        return [out, *torch.autograd.grad(out.square().sum(), learning)]

    whole = results()
    launched = []

    def launch(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        launched.append(q.shape[:2])
        return sdpa(q, k, v, mask)

    sdpa = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", launch)
    monkeypatch.setattr(attention, "most_at_once", lambda q: most)
    torch.testing.assert_close(results(), whole)
    assert max(side for shape in launched for side in shape) <= most
    assert sum(images * heads for images, heads in launched) == 2 * 5 * 4


def test_a_cpu_takes_all_windows_in_one_launch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attention, "LARGEST_GRID", 2)
    assert attention.most_at_once(torch.zeros(5, 1, 1, 1)) > 5


def test_a_gpu_takes_no_more_windows_at_once_than_its_largest_grid():
    with FakeTensorMode():
        assert attention.most_at_once(torch.empty(1, device="cuda")) == 65_535


@pytest.mark.cuda
@pytest.mark.parametrize("kernel", ["flash", "efficient"])
def test_more_windows_than_a_grid_has_are_computed_all_the_same(kernel: str):
    q, k, v = torch.randn(3, 2**16 + 1, 1, 8, 16, device="cuda", dtype=torch.bfloat16)
    with torch.inference_mode(), use_kernel(kernel):
        out = attend(q, k, v)
    torch.testing.assert_close(out, explicit(q, k, v, None), atol=0.05, rtol=0.05)


def test_every_form_of_fused_attention_that_torch_has_is_known():
    """Those of MPS and XPUs are in every build of torch."""
    operators = {schema.name for schema in torch._C._jit_get_all_schemas()}
    forms = {name for name in operators if name.startswith("aten::_scaled_dot_product")}
    assert {name for name in forms if not name.endswith("_backward")} == BACKENDS.keys()


def test_the_choice_of_kernel_ends_with_its_context(monkeypatch: pytest.MonkeyPatch):
    used: list[str] = []

    def spy(name: str) -> Kernel:
        def attend_and_tell(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, masked: bool) -> Tensor:
            used.append(name)
            return explicit(q, k, v, bias, masked=masked)

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_only_weights_below_the_normal_numbers_of_float32_become_zero(dtype: torch.dtype):
    weights = torch.tensor([1.0, 1e-4, 6e-8, 1e-37, 1e-39, 4e-44, 0.0], dtype=dtype)
    expected = torch.where(weights < 1e-38, 0.0, weights)
    torch.testing.assert_close(attention.without_subnormals(weights), expected, rtol=0, atol=0)


def test_a_masked_pair_weighs_nothing_instead_of_a_subnormal_number_and_nothing_else_changes():
    q, k, v = torch.randn(3, 2, 4, 6, 8).requires_grad_()
    mask = torch.zeros(6, 6)
    mask[:3, 3:] = -100

    def results(*, masked: bool) -> list[Tensor]:
        out = attend(q, k, v, mask, masked=masked)
        return [out, *torch.autograd.grad(out.square().sum(), (q, k, v))]

    for ours, usual in zip(results(masked=True), results(masked=False), strict=True):
        torch.testing.assert_close(ours, usual)
    huge = torch.zeros_like(v).index_fill(2, torch.arange(3, 6), 1e38)  # e^-100 of it is left, if any
    assert attend(q, k, huge, mask)[:, :, :3].any()
    with torch.no_grad():
        assert not attend(q, k, huge, mask, masked=True)[:, :, :3].any()
