"""Deformable token merging: where it is a plain convolution, and what a tap reads that is moved."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from attnbench.measuring.cost import count
from mechanisms.backbones._merging import DeformableTokenMerging, merging_macs

GEOMETRY = Geometry(6, 1, 5, 4)


def merging_for(geometry: Geometry = GEOMETRY) -> DeformableTokenMerging:
    return DeformableTokenMerging(geometry).double()


def tokens_for(geometry: Geometry = GEOMETRY) -> Tensor:
    return torch.randn(2, geometry.tokens, geometry.dim, dtype=torch.float64)


def as_images(x: Tensor) -> Tensor:
    return x.mT.unflatten(2, (GEOMETRY.height, GEOMETRY.width))


def taps_moved_by(down: float, across: float) -> Tensor:
    """What the taps of `[1, C, 5, 4]` read, `[N', 4, C]`, when all are moved by so much."""
    offsets = torch.tensor([down, across], dtype=torch.float64).expand(2, 4, 4, 2)
    return merging_for().read(tokens_for(), offsets)[0].unflatten(-1, (4, -1))


def test_it_begins_as_an_ordinary_convolution() -> None:
    layer, x = merging_for(), tokens_for()
    plain = F.gelu(layer.norm(F.conv2d(as_images(x), layer.taps.weight, layer.taps.bias, stride=2)))
    layer.norm.reset_running_stats()
    torch.testing.assert_close(layer(x), plain.flatten(2).mT)


@pytest.mark.parametrize(("down", "across"), [(1, 0), (0, 1), (-1, 2), (3, -3)])
def test_whole_offsets_read_the_cells_so_far_away_and_zeros_outside(down: int, across: int) -> None:
    layer, x = merging_for(), tokens_for()
    offsets = torch.tensor([down, across], dtype=torch.float64).expand(2, 4, 4, 2)
    taps = layer.read(x, offsets).unflatten(-1, (2, 2, -1)).unflatten(1, (2, 2))  # [B, r, c, i, j, C]
    map_ = F.pad(as_images(x), (3, 5, 3, 5))
    for row, column, i, j in torch.cartesian_prod(*[torch.arange(2)] * 4).tolist():
        cell = map_[:, :, 3 + 2 * row + i + down, 3 + 2 * column + j + across]
        torch.testing.assert_close(taps[:, row, column, i, j], cell)


def test_an_offset_has_a_row_and_then_a_column_for_each_tap_row_by_row() -> None:
    layer, x = merging_for(), tokens_for()
    layer.offsets.bias = nn.Parameter(torch.arange(8, dtype=torch.float64))
    assert layer.offsets_of(x)[0, 0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_a_place_far_outside_reads_zero_and_has_no_gradient() -> None:
    layer, x = merging_for(), tokens_for()
    offsets = torch.full((2, 4, 4, 2), 1e6, dtype=torch.float64, requires_grad=True)
    taps = layer.read(x, offsets)
    (gradient,) = torch.autograd.grad(taps.sum(), offsets)
    assert not taps.any()
    assert not gradient.any()


def test_offsets_of_a_wide_map_are_exact_in_bfloat16() -> None:
    geometry = Geometry(1, 1, 2, 600)
    layer = DeformableTokenMerging(geometry).bfloat16()
    x = torch.arange(1200.0).remainder(256).view(1, 1200, 1).bfloat16()  # whole numbers that it has
    offsets = torch.zeros(1, 300, 4, 2, dtype=torch.bfloat16)
    assert torch.equal(layer.read(x, offsets)[0, :, 1], x[0, 1:600:2, 0])


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (2, 3)], ids=str)
def test_costs_its_weights_times_its_outputs_and_what_its_docstring_says(size: tuple[int, int]) -> None:
    geometry = Geometry(12, 1, *size)
    cost = count(DeformableTokenMerging(geometry), geometry)
    merged = (size[0] // 2) * (size[1] // 2)
    assert cost.macs == merged * (8 * 12**2 + 32 * 12 + 4 * 12) == merging_macs(geometry)
    assert cost.params == 8 * 12**2 + 38 * 12 + 8
    assert cost.uncounted == ()


def test_its_weight_is_laid_out_as_torchvision_takes_it() -> None:
    assert merging_for().taps.weight.shape == (12, 6, 2, 2)
    assert merging_for().offsets.weight.shape == (8, 6, 2, 2)
