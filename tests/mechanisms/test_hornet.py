"""HorNet's layer: the polynomial that it is, the parts of its map, and how far it sees."""

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from attnbench.measuring.cost import count
from mechanisms.hornet import RecursiveGatedConvolution, macs

GEOMETRY = Geometry(16, 2, 3, 5)


def layer_for(geometry: Geometry, *, order: int) -> RecursiveGatedConvolution:
    return RecursiveGatedConvolution(geometry, order=order).double()


def tokens_for(geometry: Geometry) -> Tensor:
    return torch.randn(2, geometry.tokens, geometry.dim, dtype=torch.float64)


def without_neighbours(layer: RecursiveGatedConvolution) -> Tensor:
    """Leave the centre of every 7 × 7 kernel, and return these centres, one a channel."""
    centre = layer.depthwise.weight[:, 0, 3, 3].detach().clone()
    nn.init.zeros_(layer.depthwise.weight)
    layer.depthwise.weight.data[:, 0, 3, 3] = centre
    return centre


def test_order_one_gates_the_first_half_by_a_third_of_the_convolved_second() -> None:
    layer, x = layer_for(GEOMETRY, order=1), tokens_for(GEOMETRY)
    centre = without_neighbours(layer)
    p, q = layer.proj_in(x).chunk(2, dim=-1)
    torch.testing.assert_close(layer(x), layer.proj_out(p * (centre * q + layer.depthwise.bias) / 3))


def test_the_widest_part_of_the_map_comes_last_and_gates_last() -> None:
    layer, x = layer_for(GEOMETRY, order=3), tokens_for(GEOMETRY)
    centre = without_neighbours(layer)
    for gate in layer.gates:
        nn.init.zeros_(gate.get_parameter("weight"))
        nn.init.ones_(gate.get_parameter("bias"))
    widest = centre * layer.proj_in(x)[..., 4:] + layer.depthwise.bias
    torch.testing.assert_close(layer(x), layer.proj_out(widest[..., -16:] / 3))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_is_a_polynomial_of_degree_order_plus_one(order: int) -> None:
    layer, x = layer_for(GEOMETRY, order=order), tokens_for(GEOMETRY)
    for name, parameter in layer.named_parameters():
        parameter.data *= not name.endswith("bias")
    torch.testing.assert_close(layer(2 * x), 2 ** (order + 1) * layer(x))


@pytest.mark.parametrize("order", [1, 4])
def test_a_token_sees_7_by_7_tokens_at_any_order(order: int) -> None:
    geometry = Geometry(16, 2, 9, 11)
    x = tokens_for(geometry).requires_grad_()
    centre = 4 * 11 + 5

    layer_for(geometry, order=order)(x)[0, centre].sum().backward()

    assert x.grad is not None
    reach = torch.zeros(9, 11, dtype=torch.bool)
    reach[1:8, 2:9] = True
    assert torch.equal(x.grad[0].any(dim=-1).view(9, 11), reach)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_counts_what_the_closed_form_says_at_any_order(order: int) -> None:
    layer = RecursiveGatedConvolution(GEOMETRY, order=order)
    assert count(layer, GEOMETRY).macs == macs(GEOMETRY, order)


def test_refuses_channels_that_cannot_be_halved_often_enough() -> None:
    with pytest.raises(UnsupportedGeometry, match="order 4 halves the 36 channels 3 times"):
        RecursiveGatedConvolution(Geometry(36, 6, 4, 4), order=4)


def test_refuses_an_order_without_gates() -> None:
    with pytest.raises(InvalidSetting, match="order is 0; it must be at least 1"):
        RecursiveGatedConvolution(GEOMETRY, order=0)
