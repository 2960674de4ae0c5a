"""What an operator takes beyond its tensors: as it is measured, and told without the memory that it needs."""

from typing import Any

import pytest
import torch
from torch import Tensor

from attnbench.machine.cpu import Cpu
from attnbench.measuring import scratch
from attnbench.measuring.prediction import predicted_peak_bytes
from attnbench.measuring.scratch import scratch_bytes

aten = torch.ops.aten
SIZES = 3, 5, 7
NUMBERS = 3 * 5 * 7


def tensor(*sizes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(sizes, dtype=dtype)


def measured(operator: Any, *args: Any) -> int:
    """What the call takes beyond what it returns."""
    results: list[Tensor] = []
    peak = Cpu().peak_bytes(lambda: results.append(operator(*args)))
    given = {each.data_ptr() for each in args if isinstance(each, Tensor)}
    return peak - sum(result.nbytes for result in results if result.data_ptr() not in given)


def told(operator: Any, *args: Any) -> int:
    return scratch_bytes(operator, args, operator(*args))


def test_operands_and_results_are_copied_into_the_format_that_contains_both():
    half, single = tensor(*SIZES, dtype=torch.bfloat16), tensor(*SIZES)
    double = tensor(*SIZES, dtype=torch.float64)
    assert told(aten.add_.Tensor, half, single) == measured(aten.add_.Tensor, half, single) == 8 * NUMBERS
    assert told(aten.add.Tensor, half, single) == measured(aten.add.Tensor, half, single) == 4 * NUMBERS
    assert told(aten.gt.Tensor, half, single) == measured(aten.gt.Tensor, half, single) == 4 * NUMBERS
    assert told(aten.add_.Tensor, double, half) == measured(aten.add_.Tensor, double, half) == 8 * NUMBERS


def test_a_mask_is_not_copied_into_the_format_of_what_it_chooses():
    x, mask = tensor(*SIZES), tensor(*SIZES, dtype=torch.bool)
    assert told(aten.where.self, mask, x, x) == measured(aten.where.self, mask, x, x) == 0


def test_one_format_needs_no_copy():
    assert told(aten.add_.Tensor, tensor(*SIZES), tensor(*SIZES)) == 0
    assert told(aten.add.Tensor, tensor(*SIZES), tensor(dtype=torch.float64)) == 0  # which asks for none


def convolved(images: int, side: int = 6, device: str = "meta") -> tuple[Any, ...]:
    """What a depthwise convolution of maps that lie plane by plane is given."""
    x, weight = torch.empty(images, 8, side, side, device=device), torch.empty(8, 1, 5, 5, device=device)
    return x, weight, None, [1, 1], [2, 2], [1, 1], False, [0, 0], 8


@pytest.mark.parametrize("images", [1, 3, 24])
def test_a_convolution_takes_what_a_few_images_let_expect(images: int):
    args = convolved(images, device="cpu")
    assert told(aten.convolution.default, *args) == measured(aten.convolution.default, *args) > 0


@pytest.mark.parametrize("images", [3, 24])
@pytest.mark.parametrize(
    ("operator", "dtype", "how"),
    [
        (aten._fft_r2c.default, torch.float32, ([2], 0, True)),
        (aten._fft_c2r.default, torch.complex64, ([2], 0, 6)),
        (aten._fft_c2c.default, torch.complex64, ([1], 0, True)),
    ],
)
def test_a_transform_takes_what_a_few_images_let_expect(
    operator: Any, dtype: torch.dtype, how: tuple[Any, ...], images: int
):
    args = tensor(images, 8, 6, 6, dtype=dtype), *how
    assert told(operator, *args) == measured(operator, *args)


def test_how_maps_lie_in_memory_decides_what_a_convolution_takes():
    x, *how = convolved(3, device="cpu")
    last = x.contiguous(memory_format=torch.channels_last)
    needs = [
        (told(aten.convolution.default, each, *how), measured(aten.convolution.default, each, *how))
        for each in (x, last)
    ]
    assert all(told == measured for told, measured in needs)


def test_no_image_and_a_need_that_shrinks_take_nothing(monkeypatch: pytest.MonkeyPatch):
    assert scratch_bytes(aten.convolution.default, convolved(0), None) == 0
    monkeypatch.setattr(scratch, "_of_images", lambda _, images, described: {2: 1000, 4: 0}[images])
    assert scratch_bytes(aten.convolution.default, convolved(24), None) == 0


def test_more_images_than_any_memory_holds_are_told_from_a_few():
    args = convolved(10**9)
    one, two = (scratch_bytes(aten.convolution.default, convolved(images), None) for images in (2, 4))
    most = scratch_bytes(aten.convolution.default, args, None)
    assert most == pytest.approx(one + (10**9 - 2) * (two - one) / 2)


@pytest.mark.parametrize("images", [3, 24])
def test_a_gradient_that_is_one_number_for_all_tokens_is_tried_too(images: int):
    x, weight, _, *how = convolved(images, device="cpu")
    gradient = torch.zeros(()).expand_as(x)
    args = (gradient, x, weight, [0], *how[:5], 8, [True, True, False])
    assert told(aten.convolution_backward.default, *args) > 0


def test_an_image_that_is_too_large_for_a_trial_is_not_tried():
    assert scratch_bytes(aten.convolution.default, convolved(1, side=10**4), None) == 0


def test_a_prediction_on_another_device_tries_nothing_here(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("attnbench.measuring.prediction.scratch_bytes", lambda *_: 10**12)
    shape = (2, 4, 8)
    on_meta = predicted_peak_bytes(torch.nn.Identity, shape, torch.float32, device="meta")
    here = predicted_peak_bytes(torch.nn.Identity, shape, torch.float32)
    assert on_meta is not None
    assert on_meta < 10**12 <= (here or 0)
