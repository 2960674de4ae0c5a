"""Single-Head's parts: what is mixed in space and what is not, and its norms."""

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from attnbench.attention import attend
from mechanisms.single_head import SingleHeadAttention, single_head
from tests.references.single_head import reference

GEOMETRY = Geometry(28, 7, 3, 5)


def layer_for(geometry: Geometry = GEOMETRY, *, part: float = 3 / 14, key: int = 4) -> SingleHeadAttention:
    return SingleHeadAttention(geometry, part=part, key=key).double().eval()


def tokens_for(geometry: Geometry = GEOMETRY) -> Tensor:
    return torch.randn(2, geometry.tokens, geometry.dim, dtype=torch.float64)


def with_random_statistics(layer: SingleHeadAttention) -> SingleHeadAttention:
    for norm in (layer.qkv_norm, layer.proj_norm):
        statistics = (norm.get_buffer("running_mean"), norm.get_buffer("running_var"))
        for tensor in (*norm.parameters(), *statistics):
            nn.init.uniform_(tensor, 0.5, 2.0)
    return layer


def test_with_the_statistics_that_it_has_kept_it_equals_the_formula() -> None:
    layer, x = with_random_statistics(layer_for()), tokens_for()
    torch.testing.assert_close(layer(x), reference(layer, x, GEOMETRY, part=3 / 14, key=4))


def test_a_part_of_all_is_one_head_of_attention_before_a_relu() -> None:
    layer, x = layer_for(part=1.0, key=28), tokens_for()
    normal = (x - x.mean(dim=(1, 2), keepdim=True)) / (x.var(dim=(1, 2), correction=0) + 1e-5).sqrt()[
        :, None, None
    ]
    q, k, v = (each.unsqueeze(1) for each in layer.qkv_norm(layer.qkv(normal).mT).mT.chunk(3, dim=-1))
    expected = layer.proj_norm(layer.proj(attend(q, k, v).squeeze(1).relu()).mT).mT
    torch.testing.assert_close(layer(x), expected)


def test_the_other_channels_of_other_tokens_are_not_seen() -> None:
    layer, x = layer_for(), tokens_for().requires_grad_()
    layer(x)[0, 4].sum().backward()
    assert x.grad is not None
    seen = x.grad[0] != 0
    assert seen[:, :6].all()
    assert seen[4, 6:].any()
    assert not seen[torch.arange(15) != 4, 6:].any()


def test_an_image_is_normalised_over_all_its_tokens_at_once() -> None:
    layer, x = layer_for(part=1.0), tokens_for()
    torch.testing.assert_close(layer(100 * x + 7), layer(x), rtol=1e-4, atol=1e-4)


def test_starts_from_weights_that_let_something_through() -> None:
    assert layer_for()(tokens_for()).std() > 0.1


@pytest.mark.parametrize("part", [0.0, -0.5, 1.5])
def test_a_part_that_is_none_is_refused(part: float) -> None:
    with pytest.raises(InvalidSetting, match=f"part is {part}; it must be above 0 and at most 1"):
        layer_for(part=part)


def test_a_part_below_one_channel_is_refused() -> None:
    with pytest.raises(
        UnsupportedGeometry, match=r"0.214 of 4 channels is less than one; choose a larger --dim"
    ):
        single_head.build(Geometry(4, 1, 3, 3), **single_head.settings)


def test_keys_without_channels_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="single-head: key is 0; it must be at least 1"):
        layer_for(key=0)
