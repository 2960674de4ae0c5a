"""The global filter: a circular convolution, the identity, and a map without borders."""

import pytest
import torch
from torch import Tensor

from attnbench import Geometry
from mechanisms.global_filter import GlobalFilter

SIZES = [(4, 6), (3, 5), (1, 1), (1, 4), (5, 1)]


def layer_for(height: int, width: int) -> GlobalFilter:
    return GlobalFilter(Geometry(8, 3, height, width)).double()


def map_for(height: int, width: int) -> Tensor:
    return torch.randn(2, height, width, 8, dtype=torch.float64)


@pytest.mark.parametrize(("height", "width"), SIZES, ids=str)
def test_a_filter_of_ones_changes_nothing(height: int, width: int) -> None:
    layer, x = layer_for(height, width), map_for(height, width).flatten(1, 2)
    layer.filter.data = torch.tensor([1.0, 0.0], dtype=torch.float64).expand_as(layer.filter)
    torch.testing.assert_close(layer(x), x)


@pytest.mark.parametrize(("height", "width"), SIZES, ids=str)
def test_the_spectrum_of_a_kernel_convolves_with_it_around_the_borders(height: int, width: int) -> None:
    layer, x = layer_for(height, width), map_for(height, width)
    kernel = torch.randn(height, width, 8, dtype=torch.float64)
    layer.filter.data = torch.view_as_real(torch.fft.rfft2(kernel, dim=(0, 1)))
    convolved = torch.zeros_like(x)
    for row in range(height):
        for column in range(width):
            convolved += kernel[row, column] * x.roll((row, column), (1, 2))
    torch.testing.assert_close(layer(x.flatten(1, 2)), convolved.flatten(1, 2))


def test_a_map_that_is_rolled_gives_the_output_rolled() -> None:
    layer, x = layer_for(4, 6), map_for(4, 6)
    rolled = layer(x.roll((1, 2), (1, 2)).flatten(1, 2)).unflatten(1, (4, 6))
    torch.testing.assert_close(rolled, layer(x.flatten(1, 2)).unflatten(1, (4, 6)).roll((1, 2), (1, 2)))


def test_channels_do_not_meet() -> None:
    layer, x = layer_for(3, 4), map_for(3, 4).flatten(1, 2)
    changed = x.clone()
    changed[..., 5] += 1
    unlike = (layer(changed) - layer(x)).abs().amax(dim=(0, 1)) > 1e-9
    assert unlike.nonzero().flatten().tolist() == [5]
