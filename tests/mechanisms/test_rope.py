"""RoPE: where it is softmax attention, and what its logits know of the places of two tokens."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from attnbench.measuring.cost import count
from mechanisms.msa import MultiHeadSelfAttention
from mechanisms.rope import RotaryAttention, macs
from tests.references.rope import reference


@pytest.fixture(autouse=True)
def _in_float64() -> Iterator[None]:
    """For angles, too, that are made when a layer is built."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def layer_for(height: int, width: int, *, base: float = 100.0, qk_norm: bool = False) -> RotaryAttention:
    """A layer of 3 heads of 8 channels, under which no bias is zero and no norm is the identity."""
    layer = RotaryAttention(Geometry(24, 3, height, width), base=base, qk_norm=qk_norm)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layer


def softmax_attention(layer: RotaryAttention, height: int, width: int) -> nn.Module:
    msa = MultiHeadSelfAttention(Geometry(24, 3, height, width))
    msa.load_state_dict(layer.state_dict())
    return msa


def logits_of_equal_tokens(monkeypatch: pytest.MonkeyPatch, layer: RotaryAttention) -> Tensor:
    """q kᵀ for a map of 4 × 5 equal tokens: `[heads, 4, 5, 4, 5]`, queries before keys."""
    seen: list[Tensor] = []

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen.append(q @ k.mT)
        return v

    monkeypatch.setattr("mechanisms.rope.attend", attend)
    layer(torch.randn(1, 1, 24).expand(1, 20, 24))
    return seen[0].view(3, 4, 5, 4, 5)


def test_a_lone_token_is_not_turned() -> None:
    layer, x = layer_for(1, 1), torch.randn(2, 1, 24)
    torch.testing.assert_close(layer(x), softmax_attention(layer, 1, 1)(x))


def test_without_angles_it_is_softmax_attention() -> None:
    layer, x = layer_for(3, 5), torch.randn(2, 15, 24)
    nn.init.ones_(layer.cos)
    nn.init.zeros_(layer.sin)
    torch.testing.assert_close(layer(x), softmax_attention(layer, 3, 5)(x))


def test_logits_of_equal_tokens_depend_on_how_far_apart_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = logits_of_equal_tokens(monkeypatch, layer_for(4, 5))
    torch.testing.assert_close(logits[:, 1:, 1:, 1:, 1:], logits[:, :-1, :-1, :-1, :-1])
    assert (logits[:, 0, 0, 0, 0] != logits[:, 0, 0, 1, 0]).all()


@pytest.mark.parametrize(("half", "rows"), [(0, True), (1, False)], ids=["rows", "columns"])
def test_half_of_the_channels_of_a_head_know_rows_and_half_columns(
    monkeypatch: pytest.MonkeyPatch, half: int, rows: bool
) -> None:
    layer = layer_for(4, 5)
    for parameter in (layer.qkv.weight, layer.qkv.bias):
        parameter.data[:24].unflatten(0, (3, 2, 4))[:, 1 - half] = 0

    logits = logits_of_equal_tokens(monkeypatch, layer)

    by_rows, by_columns = logits[:, 0, 0, :, 0], logits[:, 0, 0, 0, :]  # of the token at the top left
    assert (by_rows.std(dim=-1) > 1e-3).all() == rows
    assert (by_columns.std(dim=-1) > 1e-3).all() != rows


def test_norms_of_queries_and_keys_equal_the_formula() -> None:
    layer, x = layer_for(3, 4, base=10.0, qk_norm=True), torch.randn(2, 12, 24)
    expected = reference(layer, x, Geometry(24, 3, 3, 4), base=10.0, qk_norm=True)
    torch.testing.assert_close(layer(x), expected)


def test_norms_cost_ten_numbers_a_token_and_channel() -> None:
    assert macs(Geometry(768, 12, 14, 14), base=100.0, qk_norm=True) == 522_934_272
    geometry = Geometry(24, 3, 3, 4)
    layer = RotaryAttention(geometry, base=100.0, qk_norm=True)
    assert count(layer, geometry).macs == macs(geometry, base=100.0, qk_norm=True)


def test_pairs_for_rows_and_as_many_for_columns_need_four_channels() -> None:
    with pytest.raises(UnsupportedGeometry, match="a head's 6 channels are not pairs for rows"):
        RotaryAttention(Geometry(24, 4, 3, 3), base=100.0, qk_norm=False)


@pytest.mark.parametrize("base", [0.0, -1.0, float("inf"), float("nan")])
def test_refuses_a_base_without_frequencies(base: float) -> None:
    with pytest.raises(InvalidSetting, match=f"base is {base}; it must be finite and above 0"):
        layer_for(3, 3, base=base)
