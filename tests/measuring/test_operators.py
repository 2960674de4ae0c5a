"""Operators of a call whose reads, writes and multiply-adds are known."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from attnbench.attention import use_kernel
from attnbench.cases.registry import discover
from attnbench.measuring.operators import operations
from attnbench.records.profile import Operation, Part

Forward = Callable[..., Tensor]
X = torch.randn(2, 6, 8, 8)
ELEMENTS = X.numel()
WITH_SMALL_TERMS = {"dat", "quadtree", "sra", "agent", "aggregated"}
ONCE_A_CALL = {"swin-v2"}  # what its bias is made of, which the closed form has once an image
WITHOUT_SMALL_TERMS = sorted(set(discover()) - WITH_SMALL_TERMS - ONCE_A_CALL - {"performer"})
ATTEND = ("msa", "hilo", "cross-window", "linformer")


def observed(forward: Forward, *parameters: Tensor) -> list[Operation]:
    layer = nn.Module()
    for place, parameter in enumerate(parameters):
        layer.register_parameter(f"weight_{place}", nn.Parameter(parameter))
    with torch.no_grad():
        return operations(lambda: forward(X, *layer.parameters()), layer)


def parts(forward: Forward, *parameters: Tensor) -> list[tuple[str, Part]]:
    return [(each.operator, each.part) for each in observed(forward, *parameters)]


def counted(name: str, kernel: str) -> tuple[int, int]:
    """The sum over operators, and the closed form of as many images."""
    geometry, choice = Geometry(48, 6, 7, 9), discover().choose(name)
    layer = choice.mechanism.build(geometry, **choice.settings).eval()
    with torch.no_grad(), use_kernel(kernel):
        found = operations(lambda: layer(torch.randn(2, geometry.tokens, geometry.dim)), layer)
    closed_form = choice.mechanism.closed_form(geometry, **choice.settings)
    assert closed_form is not None
    return sum(each.macs for each in found), 2 * closed_form


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        *product(WITHOUT_SMALL_TERMS, ["explicit"]),
        *product(ATTEND, ["fused"]),
    ],
)
def test_operators_add_up_to_the_closed_form(name: str, kernel: str):
    found, closed_form = counted(name, kernel)
    assert found == closed_form


def test_of_performer_a_product_that_adds_nothing_is_left_out():
    found, closed_form = counted("performer", "explicit")
    assert found == closed_form - 7 * 9 * 48


@pytest.mark.parametrize(
    ("forward", "weight", "macs"),
    [
        (lambda x, w: F.linear(x, w), (5, 8), ELEMENTS * 5),
        (lambda x, w: F.linear(x, w, w[:, 0]), (5, 8), ELEMENTS * 5),
        (lambda x, w: x @ x.mT, (1,), ELEMENTS * 8),
        (lambda x, w: torch.baddbmm(w, x[0], x[0].mT), (1,), ELEMENTS // 2 * 8),
        (lambda x, w: torch.einsum("bhnm,bhmk->bhnk", x, x), (1,), ELEMENTS * 8),
        (lambda x, w: x[0, 0] @ w, (8,), 64),
        (lambda x, w: F.conv2d(x, w, padding=1), (4, 6, 3, 3), 2 * 4 * 64 * 6 * 9),
        (lambda x, w: F.conv2d(x, w, groups=6, stride=2), (6, 1, 2, 2), 2 * 6 * 16 * 4),
        (lambda x, w: F.conv_transpose2d(x, w, stride=2), (6, 4, 2, 2), ELEMENTS * 4 * 4),
        (lambda x, w: F.scaled_dot_product_attention(x, x[:, :, :3], x[:, :, :3]), (1,), 2 * 6 * 8 * 3 * 16),
        (lambda x, w: x * w + x.softmax(dim=-1), (1,), 0),
    ],
)
def test_an_operator_costs_its_multiply_adds(forward: Forward, weight: tuple[int, ...], macs: int):
    assert sum(each.macs for each in observed(forward, torch.randn(weight))) == macs


def test_a_product_with_a_weight_is_a_projection_and_others_are_not():
    weight = torch.randn(8, 8)
    assert parts(lambda x, w: x[0, 0] @ w, weight) == [("mm", Part.projections)]
    assert parts(lambda x, w: w @ x[0, 0], weight) == [("mm", Part.projections)]
    assert parts(lambda x, w: x[0, 0] @ x[0, 1], weight) == [("mm", Part.core)]
    assert parts(lambda x, w: torch.addmm(w, x[0, 0], x[0, 1]), weight) == [("addmm", Part.core)]


@pytest.mark.parametrize(
    ("side", "options", "part"),
    [
        (1, {}, Part.projections),
        (2, {"stride": 2}, Part.projections),
        (1, {"stride": 2}, Part.core),
        (3, {"padding": 1}, Part.core),
        (2, {"stride": 2, "dilation": 2}, Part.core),
        (2, {"stride": 2, "padding": 1}, Part.core),
    ],
)
def test_a_convolution_is_a_projection_where_its_patches_tile_the_map(side: int, options, part: Part):
    found = parts(lambda x, w: F.conv2d(x, w, **options), torch.randn(6, 6, side, side))
    assert found == [("convolution", part)]


def test_what_is_made_of_parameters_alone_is_a_weight():
    def forward(x: Tensor, w: Tensor) -> Tensor:
        return x[0, 0] @ torch.cat([2 * w, w], dim=1)

    assert parts(forward, torch.randn(8, 4))[-1] == ("mm", Part.projections)


def test_what_is_made_of_a_parameter_and_the_input_is_no_weight():
    assert parts(lambda x, w: x[0, 0] @ (x[0, 1] * w), torch.randn(8, 8))[-1] == ("mm", Part.core)


def test_views_and_allocations_are_no_operators():
    def forward(x: Tensor) -> Tensor:
        torch.empty_like(x)
        return x.flatten(1).unflatten(1, (6, 64)).mT[:, 3:].unsqueeze(0).expand(5, -1, -1, -1)

    assert observed(forward) == []


@pytest.mark.parametrize(
    ("forward", "elements"),
    [
        (lambda x: x.clone(), 2 * ELEMENTS),
        (lambda x: x + x, 2 * ELEMENTS),
        (lambda x: x + x.flip(0), (2 + 3) * ELEMENTS),
        (lambda x: x + x[:1, :1, :1].expand_as(x), 2 * ELEMENTS + 8),
        (lambda x: x[:, :3].mul_(1), ELEMENTS),
        (lambda x: x[:, :3].copy_(x[:, 3:]), ELEMENTS),
        (lambda x: x[:, :3].fill_(1), ELEMENTS // 2),
        (lambda x: torch.add(x[0], x[1], out=x[0]), 3 * ELEMENTS // 2),
        (lambda x: x.unfold(3, 4, 1).exp(), ELEMENTS + 2 * 6 * 8 * 5 * 4),
    ],
)
def test_an_operator_moves_each_of_its_tensors_once(forward: Forward, elements: int):
    assert sum(each.bytes for each in observed(forward)) == 4 * elements


def test_of_a_table_no_more_is_read_than_is_looked_up():
    index = torch.tensor([0, 1, 1])
    (found,) = observed(lambda x: x.index_select(2, index))
    assert found.bytes == 2 * 4 * 2 * 6 * 3 * 8 + 3 * 8
    *_, found = observed(lambda x: x.index_select(2, index.repeat(8)))
    assert found.bytes == 4 * (ELEMENTS + 3 * ELEMENTS) + 24 * 8


def test_halves_take_half_the_bytes():
    found = observed(lambda x: x.bfloat16().neg())
    assert [each.bytes for each in found] == [(4 + 2) * ELEMENTS, (2 + 2) * ELEMENTS]
