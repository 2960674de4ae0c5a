"""Bi-level routing: where it is softmax attention, how many tokens a region chooses, and what that costs."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from attnbench.measuring.cost import count
from mechanisms.bi_level_routing import BiLevelRoutingAttention, bi_level_routing, macs
from mechanisms.msa import MultiHeadSelfAttention
from tests.references.bi_level_routing import reference


def layer_for(height: int, width: int, **settings: int) -> BiLevelRoutingAttention:
    """A float64 layer of 4 heads under which no bias is zero."""
    chosen: Any = {"regions": 2, "topk": 2, "lepe": 3} | settings
    layer = BiLevelRoutingAttention(Geometry(24, 4, height, width), **chosen)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layer.double()


def without_lepe(layer: BiLevelRoutingAttention) -> BiLevelRoutingAttention:
    for parameter in layer.lepe.parameters():
        nn.init.zeros_(parameter)
    return layer


@pytest.mark.parametrize(("regions", "topk"), [(2, 4), (1, 1)])
@torch.no_grad()
def test_all_regions_are_softmax_attention_with_larger_queries(regions: int, topk: int) -> None:
    layer = without_lepe(layer_for(4, 6, regions=regions, topk=topk))
    msa = MultiHeadSelfAttention(layer.geometry).double()
    msa.load_state_dict(layer.state_dict(), strict=False)
    x = torch.randn(2, 24, 24, dtype=torch.float64)
    expected = msa(x)
    layer.qkv.weight[:24] *= 2  # √heads, as logits are divided by √C and not by √D
    layer.qkv.bias[:24] *= 2
    torch.testing.assert_close(layer(x), expected)


def test_tokens_of_a_region_attend_to_whole_regions_and_to_the_same() -> None:
    layer = without_lepe(layer_for(6, 9, regions=3, topk=4))
    x = torch.randn(1, 54, 24, dtype=torch.float64)
    first, second = (attended_by(layer, x, token) for token in (0, 11))  # both in the region at the top left

    regions = first.view(3, 2, 3, 3).transpose(1, 2).flatten(2)
    assert torch.equal(regions.all(dim=-1), regions.any(dim=-1))
    assert regions.all(dim=-1).sum() == 4
    assert torch.equal(first, second)


def attended_by(layer: BiLevelRoutingAttention, x: Tensor, token: int) -> Tensor:
    """Whether each token's value is part of one token's output, `[N]`."""
    projected: list[Tensor] = []
    hook = layer.qkv.register_forward_hook(lambda _module, _inputs, output: projected.append(output))
    out = layer(x)
    hook.remove()
    (gradient,) = torch.autograd.grad(out[0, token].sum(), projected)
    return gradient[0, ..., -24:].any(dim=-1).flatten()


def test_heads_find_their_own_regions_however_many_are_attended_to_at_once() -> None:
    layer = layer_for(4, 6)
    q, k, v = torch.randn(3, 5, 4, 6, 6, dtype=torch.float64)
    chosen = torch.stack([torch.randperm(4)[:2] for _ in range(20)]).view(5, 4, 2)
    alone = torch.cat([layer.attend_chosen(*(x[i : i + 1] for x in (q, k, v, chosen))) for i in range(5)])
    torch.testing.assert_close(layer.attend_chosen(q, k, v, chosen), alone)


@torch.no_grad()
def test_a_region_chooses_the_region_whose_mean_key_is_most_like_its_mean_query() -> None:
    layer = layer_for(2, 2, topk=1)
    q, k = torch.eye(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64).roll(1, dims=0)
    q, k = (each.view(1, 1, 4, 1, 4) for each in (q, k))  # one head of four channels, one token a region
    assert layer.choose(q, k).flatten().tolist() == [1, 2, 3, 0]


def test_local_encoding_sees_beyond_a_region() -> None:
    layer = layer_for(4, 4)
    nn.init.zeros_(layer.qkv.bias.data[48:])
    x = torch.zeros(1, 16, 24, dtype=torch.float64)
    x[0, 5] = torch.randn(24)  # row 1, column 1: the last token of the first region
    alone = without_lepe(layer_for(4, 4))
    alone.load_state_dict(layer.state_dict() | {"lepe.weight": torch.zeros_like(layer.lepe.weight)})
    difference = (layer(x) - alone(x))[0].abs().amax(dim=-1).view(4, 4) > 1e-9
    assert difference[:3, :3].all()
    assert difference.sum() == 9


@pytest.mark.parametrize(
    ("size", "settings"), [((6, 9), {"regions": 3, "topk": 5, "lepe": 1}), ((5, 3), {"topk": 3, "lepe": 5})]
)
def test_any_setting_equals_the_formula(size: tuple[int, int], settings: dict[str, int]) -> None:
    layer = layer_for(*size, **settings)
    x = torch.randn(2, layer.geometry.tokens, 24, dtype=torch.float64)
    expected: dict[str, Any] = {"regions": 2, "topk": 2, "lepe": 3} | settings
    torch.testing.assert_close(layer(x), reference(layer, x, layer.geometry, **expected))


def test_a_fixed_number_of_regions_grows_with_the_square_of_the_tokens() -> None:
    geometries = (Geometry(768, 12, side, side) for side in (28, 56))
    small, large = (
        bi_level_routing.closed_form(each, **bi_level_routing.settings) or 0 for each in geometries
    )
    assert (round(small / 1e6), round(large / 1e6)) == (2_175, 12_393)


@pytest.mark.parametrize(("regions", "topk", "lepe"), [(1, 1, 1), (2, 3, 5), (3, 9, 3)])
def test_counts_what_the_closed_form_says_with_any_setting(regions: int, topk: int, lepe: int) -> None:
    layer = layer_for(5, 7, regions=regions, topk=topk, lepe=lepe).float()
    assert count(layer, layer.geometry).macs == macs(layer.geometry, regions=regions, topk=topk, lepe=lepe)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regions": 0}, "regions is 0; it must be at least 1"),
        ({"topk": 0}, "topk is 0; it must lie between 1 and the number of regions, 2x2 = 4"),
        ({"topk": 5}, "topk is 5; it must lie between 1 and the number of regions, 2x2 = 4"),
        ({"lepe": 4}, "lepe is 4; it must be odd"),
    ],
)
def test_meaningless_settings_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        layer_for(4, 4, **settings)
