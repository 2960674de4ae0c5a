"""Local and shifted window attention: windows are MSA of their tokens, and a mask parts strangers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench import Geometry, InvalidSetting
from mechanisms.msa import MultiHeadSelfAttention
from mechanisms.swin_v2 import CosineWindowAttention
from mechanisms.window import WindowAttention

DIM, HEADS = 48, 6


def windows(height: int, width: int, window: int = 7, shift: int = 0) -> WindowAttention:
    return WindowAttention(Geometry(DIM, HEADS, height, width), window, shift)


def msa_of(layer: WindowAttention, part: Tensor) -> Tensor:
    """What MSA with the layer's weights makes of a part `[B, rows, columns, C]` of the map alone."""
    msa = MultiHeadSelfAttention(Geometry(DIM, HEADS, *part.shape[1:3]))
    msa.load_state_dict(layer.state_dict())
    out: Tensor = msa(part.flatten(1, 2))
    return out.view_as(part)


def test_one_window_is_softmax_attention() -> None:
    layer = windows(7, 7)
    x = torch.randn(2, 7, 7, DIM)

    torch.testing.assert_close(layer(x.flatten(1, 2)).view_as(x), msa_of(layer, x))


@pytest.mark.parametrize("rows", [slice(0, 7), slice(7, 14)], ids=["top", "bottom"])
@pytest.mark.parametrize("columns", [slice(0, 7), slice(7, 14)], ids=["left", "right"])
def test_every_window_is_softmax_attention_of_its_tokens(rows: slice, columns: slice) -> None:
    layer = windows(14, 14)
    x = torch.randn(2, 14, 14, DIM)

    out = layer(x.flatten(1, 2)).view_as(x)

    torch.testing.assert_close(out[:, rows, columns], msa_of(layer, x[:, rows, columns]))


SIDE = {"wrapped": slice(0, 3), "inner": slice(3, 10), "last": slice(10, 14)}


@pytest.mark.parametrize("rows", SIDE.values(), ids=SIDE.keys())
@pytest.mark.parametrize("columns", SIDE.values(), ids=SIDE.keys())
def test_every_region_of_a_shifted_map_is_softmax_attention_of_its_tokens(
    rows: slice, columns: slice
) -> None:
    layer = windows(14, 14, shift=3)
    x = torch.randn(2, 14, 14, DIM)

    out = layer(x.flatten(1, 2)).view_as(x)

    torch.testing.assert_close(out[:, rows, columns], msa_of(layer, x[:, rows, columns]))


def test_a_shift_masks_the_pairs_that_the_roll_brought_together() -> None:
    mask = windows(14, 14, shift=3).mask

    assert (mask == -100).sum(dim=(1, 2)).tolist() == [0, 1176, 1176, 1776]
    assert (mask == 0).sum(dim=(1, 2)).tolist() == [2401, 1225, 1225, 625]


def test_a_mask_of_minus_a_thousand_leaves_no_subnormal_weight_and_the_same_output() -> None:
    geometry = Geometry(DIM, HEADS, 14, 14)
    usual, strict = (WindowAttention(geometry, 7, 3, mask) for mask in (-100.0, -1000.0))
    strict.load_state_dict(usual.state_dict())
    x = torch.randn(2, geometry.tokens, DIM)

    assert 0 < usual.mask.exp().min() < torch.finfo(torch.float32).tiny
    assert strict.mask.exp().min() == 0
    torch.testing.assert_close(strict(x), usual(x))


class SubnormalFactors(TorchDispatchMode):
    """Counts the subnormal numbers that batched matmuls are given, and the matmuls."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.subnormal = self.matmuls = 0

    def __torch_dispatch__(
        self,
        operator: torch._ops.OpOverload,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        if operator.overloadpacket is torch.ops.aten.bmm:
            sizes = torch.cat([factor.flatten() for factor in args]).abs()
            self.subnormal += int(((sizes > 0) & (sizes < torch.finfo(torch.float32).tiny)).sum())
            self.matmuls += 1
        return operator(*args, **(kwargs or {}))


@pytest.mark.parametrize("layer", [WindowAttention, CosineWindowAttention])
def test_no_matmul_of_a_shifted_layer_has_a_subnormal_factor(layer: Callable[..., WindowAttention]) -> None:
    shifted = layer(Geometry(DIM, HEADS, 14, 14), window=7, shift=3)
    with torch.no_grad(), SubnormalFactors() as seen:
        shifted(torch.randn(2, 196, DIM))
    assert (seen.subnormal, seen.matmuls) == (0, 1)


def test_a_map_is_padded_before_it_is_rolled() -> None:
    layer = windows(9, 14, shift=3)
    x = torch.randn(2, 9, 14, DIM)
    padded = torch.cat([x, torch.zeros(2, 5, 14, DIM)], dim=1)

    out = layer(x.flatten(1, 2)).view_as(x)

    torch.testing.assert_close(out[:, 3:9, 3:10], msa_of(layer, padded[:, 3:10, 3:10])[:, :6])


def test_padded_tokens_are_keys_with_the_projections_bias() -> None:
    layer = windows(3, 2)
    x = torch.randn(2, 3, 2, DIM)
    padded = torch.zeros(2, 7, 7, DIM)
    padded[:, :3, :2] = x

    out = layer(x.flatten(1, 2)).view_as(x)

    torch.testing.assert_close(out, msa_of(layer, padded)[:, :3, :2])


@pytest.mark.parametrize("shift", [-1, 7])
def test_a_shift_lies_inside_the_window(shift: int) -> None:
    with pytest.raises(
        InvalidSetting, match=rf"shift is {shift}; it must be at least 0 and below the window, 7"
    ):
        windows(14, 14, shift=shift)


def test_a_window_holds_a_token() -> None:
    with pytest.raises(InvalidSetting, match="window is 0; it must be at least 1"):
        windows(14, 14, window=0)
