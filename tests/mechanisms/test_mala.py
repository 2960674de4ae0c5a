"""MALA: weights that sum to one, rotations that know distances alone, and its gate."""

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from mechanisms._pairs import axial_angles, rotate
from mechanisms.mala import MagnitudeAwareLinearAttention, frequencies

GEOMETRY = Geometry(dim=48, heads=3, height=3, width=5)


def layer_for(geometry: Geometry) -> MagnitudeAwareLinearAttention:
    return MagnitudeAwareLinearAttention(geometry, lepe=5).double()


def tokens_for(geometry: Geometry) -> Tensor:
    return torch.randn(2, geometry.tokens, geometry.dim, dtype=torch.float64)


def parts(layer: MagnitudeAwareLinearAttention, x: Tensor) -> tuple[Tensor, ...]:
    """Queries, keys, values and gate."""
    return layer.qkvo(x).chunk(4, dim=-1)


def test_a_single_token_keeps_its_value() -> None:
    geometry = Geometry(48, 3, 1, 1)
    layer, x = layer_for(geometry), tokens_for(geometry)
    _, _, v, o = parts(layer, x)
    local = layer.lepe(v.mT.unflatten(-1, (1, 1))).flatten(2).mT
    torch.testing.assert_close(layer(x), layer.proj((v + local) * o), rtol=1e-5, atol=1e-6)


def test_without_rotation_the_weights_of_a_query_sum_to_one() -> None:
    layer, x = layer_for(GEOMETRY), tokens_for(GEOMETRY)
    nn.init.ones_(layer.cos)
    nn.init.zeros_(layer.sin)
    qk, v, _ = layer.qkvo(x).split((96, 48, 48), dim=-1)
    same = v[:, :1].expand_as(x)
    torch.testing.assert_close(layer.attend_linearly(qk, same), same.contiguous(), rtol=1e-5, atol=1e-5)


def test_the_gate_has_no_activation() -> None:
    layer, x = layer_for(GEOMETRY), tokens_for(GEOMETRY)
    nn.init.zeros_(layer.proj.bias)
    before = layer(x)
    for parameter in layer.qkvo.parameters():
        parameter.data[144:] *= -2
    torch.testing.assert_close(layer(x), -2 * before)


def test_frequencies_fall_from_one_to_a_ten_thousandth_in_equal_ratios() -> None:
    torch.testing.assert_close(frequencies(3), torch.tensor([1, 1e-2, 1e-4], dtype=torch.float64))
    assert frequencies(1).tolist() == [1]


def test_scores_of_turned_tokens_depend_on_the_distance_between_them_alone() -> None:
    angles = axial_angles(GEOMETRY, frequencies(4))
    both = torch.randn(2, 16, dtype=torch.float64).unsqueeze(1).expand(-1, GEOMETRY.tokens, -1)
    queries, keys = rotate(both, angles.cos(), angles.sin()).unflatten(1, (3, 5))

    scores = torch.einsum("abc,dec->abde", queries, keys)

    torch.testing.assert_close(scores[0, 1, 1, 4], scores[1, 0, 2, 3])
    torch.testing.assert_close(scores[2, 2, 1, 2], scores[1, 4, 0, 4])
    assert (scores[0, 0, 0, 1] - scores[0, 0, 1, 0]).abs() > 0.01


def test_rows_turn_the_first_half_of_a_head_and_columns_the_second() -> None:
    x = torch.randn(16)
    angles = axial_angles(GEOMETRY, frequencies(4))
    turned = rotate(x.expand(15, -1), angles.cos(), angles.sin()).unflatten(0, (3, 5))
    assert torch.equal(turned[0, 4, :8], x[:8])
    assert torch.equal(turned[2, 0, 8:], x[8:])
    torch.testing.assert_close(turned[2, 4].norm(), x.norm())
    angle = torch.tensor(2.0)  # two rows by a frequency of one
    torch.testing.assert_close(turned[2, 0, 1], x[1] * angle.cos() + x[0] * angle.sin())
    assert (turned[2, 4] - x).abs().min() > 0


def test_refuses_heads_that_fall_into_no_four_parts() -> None:
    with pytest.raises(UnsupportedGeometry, match="mala: heads of 6 channels make no pairs"):
        MagnitudeAwareLinearAttention(Geometry(24, 4, 4, 4), lepe=5)


@pytest.mark.parametrize("lepe", [-1, 0, 4])
def test_refuses_a_convolution_without_a_centre(lepe: int) -> None:
    with pytest.raises(InvalidSetting, match=f"mala: lepe is {lepe}; it must be an odd number"):
        MagnitudeAwareLinearAttention(GEOMETRY, lepe=lepe)
