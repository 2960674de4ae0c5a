"""Counts are complete and exact where fvcore alone is silent or rounds."""

import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, UnsupportedGeometry
from attnbench.attention import KERNELS, use_kernel
from attnbench.cases.registry import discover
from attnbench.measuring.cost import Count, Uncountable, count, count_on_meta
from mechanisms.msa import msa

TABLE_IV = Geometry(768, 12, 14, 14)
N, C, H, D = 196, 768, 12, 64


class Layer(nn.Module):
    """A layer of one operation on heads `[1, 12, 196, 64]`."""

    def __init__(self, operation) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        return self.operation(x.unflatten(-1, (H, D)).transpose(1, 2))


def cost_of(operation) -> Count:
    return count(Layer(operation), TABLE_IV)


@pytest.mark.parametrize(
    ("operation", "macs"),
    [
        (lambda x: x @ x.mT @ x, 59_006_976),
        (lambda x: F.scaled_dot_product_attention(x, x, x), 59_006_976),
        (
            lambda x: F.scaled_dot_product_attention(x, x[:, :, :49], x[:, :, :49, :16]),
            H * N * 49 * (64 + 16),
        ),
        (lambda x: torch.baddbmm(torch.zeros(1), x[0], x[0].mT), 29_503_488),
        (lambda x: torch.einsum("bhnd,bhmd->bhnm", x, x), 29_503_488),
        (
            lambda x: torch.einsum("bhnd,bhde,bhn->bhne", x, x[:, :, :64], x[..., 0]),
            H * N * D * D + H * N * D // 2,
        ),
        (lambda x: x @ torch.zeros(D, 32), H * N * D * 32),
        (lambda x: torch.zeros(32, D) @ x.mT, H * N * D * 32),
        (lambda x: F.layer_norm(x, (D,), torch.ones(D), torch.zeros(D)), 5 * N * C),
        (lambda x: F.softmax(x, dim=-1) * 2 + x, 0),
    ],
    ids=[
        "explicit",
        "sdpa",
        "sdpa-uneven",
        "baddbmm",
        "einsum",
        "einsum-3",
        "matmul",
        "parameter-first",
        "norm",
        "rest",
    ],
)
def test_an_operation_costs_its_multiply_adds(operation, macs: int):
    cost = cost_of(operation)
    assert cost.macs == macs
    assert cost.uncounted == ()


def test_an_operator_of_unknown_cost_is_named():
    assert cost_of(lambda x: torch.linalg.matrix_exp(x[..., :64, :])).uncounted == (
        "aten::linalg_matrix_exp",
    )


def test_the_fused_path_of_torchs_own_attention_is_not_free():
    attention = nn.MultiheadAttention(C, H, batch_first=True)

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = attention

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x, need_weights=False)[0]

    cost = count(Wrapped(), TABLE_IV)
    assert (cost.macs, cost.uncounted) == (521_428_992, ())


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_layer_costs_the_same_under_every_kernel(kernel: str):
    with use_kernel(kernel):
        assert count(msa.build(TABLE_IV), TABLE_IV).macs == 521_428_992


def test_attention_is_explicit_unless_told_otherwise_also_after_a_failure():
    layer = msa.build(TABLE_IV)
    with pytest.raises(KeyError), use_kernel("fused"):
        raise KeyError
    assert "scaled_dot_product_attention" not in count(layer, TABLE_IV).by_operator


def test_operators_add_up_to_the_whole():
    cost = count(msa.build(TABLE_IV), TABLE_IV)
    assert sum(cost.by_operator.values()) == cost.macs
    assert cost.by_operator["linear"] == 462_422_016


def test_parameters_that_do_not_train_and_buffers_are_left_out():
    layer = msa.build(TABLE_IV)
    layer.register_buffer("table", torch.zeros(1000))
    layer.get_parameter("proj.bias").requires_grad_(False)
    assert count(layer, TABLE_IV).params == 2_362_368 - 768


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", ["hilo", "linformer", "performer", "shifted-window", "sra", "xca"])
def test_a_count_without_memory_is_the_count(name: str, kernel: str):
    geometry, choice = Geometry(48, 6, 7, 9), discover().choose(name)
    with use_kernel(kernel):
        real = count(choice.mechanism.build(geometry, **choice.settings), geometry)
        assert count_on_meta(lambda: choice.mechanism.build(geometry, **choice.settings), geometry) == real


def test_a_map_that_no_machine_could_hold_is_counted():
    large = Geometry(768, 12, 1000, 1000)
    cost = count_on_meta(lambda: msa.build(large), large)
    assert cost is not None
    assert cost.macs == msa.closed_form(large)


def test_what_looks_at_values_is_not_counted_without_memory():
    assert count_on_meta(lambda: Layer(lambda x: x if x.sum() > 0 else -x), TABLE_IV) is None


def test_a_geometry_without_meaning_is_refused_without_memory_too():
    def build() -> nn.Module:
        raise UnsupportedGeometry("too square")

    with pytest.raises(UnsupportedGeometry, match="too square"):
        count_on_meta(build, TABLE_IV)


class Grown(nn.Module):
    """A layer that runs as far as its forward says, with 8 · 8 parameters."""

    def __init__(self, forward) -> None:
        super().__init__()
        self.linear, self.run = nn.Linear(8, 8, bias=False), forward

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.linear(x))


SMALL = Geometry(8, 2, 3, 4)


def test_parameters_are_known_of_a_layer_that_does_not_run():
    def fails(x: Tensor) -> Tensor:
        raise RuntimeError("not today")

    with pytest.raises(Uncountable, match="RuntimeError: not today") as told:
        count(Grown(fails), SMALL)
    assert (told.value.params, told.value.numbers) == (64, 64)


def test_a_layer_that_cannot_be_traced_is_counted_as_it_runs():
    def untraceable(x: Tensor) -> Tensor:
        if torch._C._get_tracing_state():
            raise RuntimeError("no traces of me")
        return x @ x.mT @ x

    cost = count(Grown(untraceable), SMALL)
    assert (cost.macs, cost.uncounted) == (12 * 64 + 2 * 12 * 12 * 8, ())


def test_work_that_depends_on_the_image_is_told_by_two_images():
    def keeps_what_is_positive(x: Tensor) -> Tensor:
        kept = x[0, x[0, :, 0] > 0]
        return x + (kept @ kept.mT).sum()

    cost = count(Grown(keeps_what_is_positive), SMALL)
    assert cost.macs_of_another not in (None, cost.macs)
    looks_in_vain = count(Grown(lambda x: x if x.sum() > 0 else -x), SMALL)
    assert looks_in_vain.macs_of_another is None


class Doubled(torch.autograd.Function):
    """An operator that no counter knows."""

    @staticmethod
    def forward(context, x: Tensor) -> Tensor:
        return x @ x.new_ones(8, 8)


def test_an_operator_of_its_own_costs_what_its_mechanism_says():
    layer = Grown(Doubled.apply)
    assert count(layer, SMALL).uncounted == ("prim::PythonOp.Doubled",)
    told: list[object] = []

    def formula(inputs, outputs) -> int:
        told.extend((inputs, outputs))
        return 12 * 64

    cost = count(layer, SMALL, {"prim::PythonOp.Doubled": formula})
    assert (cost.macs, cost.uncounted) == (2 * 12 * 64, ())
    assert told == [[(1, 12, 8)], [(1, 12, 8)]]


def test_what_is_shared_is_moved_once():
    layer = nn.Sequential(*[nn.Linear(8, 8, bias=False)] * 3)
    assert (count(layer, SMALL).params, count(layer, SMALL).numbers) == (64, 64)


def test_a_complex_layer_is_counted_with_real_tokens():
    class Filter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(7, 8, dtype=torch.complex64))

        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.irfft(torch.fft.rfft(x, dim=1) * self.weight, n=12, dim=1)

    cost = count(Filter(), SMALL)
    assert cost.params == 56
    assert cost.macs == round(2 * 1.25 * 12 * 8 * math.log2(12))


def test_counting_says_nothing_of_what_its_tracer_is_to_torch():
    command = [sys.executable, "-W", "error:`torch.jit", "-c", "import attnbench.measuring.cost"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""
