"""HiLo: where it equals softmax attention, what its branches see, and its tables of α and window."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from attnbench.measuring.cost import count
from mechanisms.hilo import HiLo, hi_fi_macs, hilo, lo_fi_macs, macs
from mechanisms.msa import MultiHeadSelfAttention
from tests.plain.hilo import PlainHiLo
from tests.references.hilo import reference

TABLE_IV = Geometry(768, 12, 14, 14)
SPLITS = [  # α, Lo-Fi heads, Hi-Fi heads, params, MACs, of these Lo-Fi, Hi-Fi; window 2
    (0, 0, 12, 2_362_368, 463_626_240, 0, 463_626_240),
    (0.1, 1, 11, 2_272_256, 432_642_560, 16_482_816, 416_159_744),
    (0.2, 2, 10, 2_198_528, 404_870_144, 34_571_264, 370_298_880),
    (0.3, 3, 9, 2_141_184, 380_308_992, 54_265_344, 326_043_648),
    (0.4, 4, 8, 2_100_224, 358_959_104, 75_565_056, 283_394_048),
    (0.5, 6, 6, 2_067_456, 325_893_120, 122_981_376, 202_911_744),
    (0.6, 7, 5, 2_075_648, 314_177_024, 149_097_984, 165_079_040),
    (0.7, 8, 4, 2_100_224, 305_672_192, 176_820_224, 128_851_968),
    (0.8, 9, 3, 2_141_184, 300_378_624, 206_148_096, 94_230_528),
    (0.9, 10, 2, 2_198_528, 298_296_320, 237_081_600, 61_214_720),
    (1.0, 12, 0, 2_362_368, 303_765_504, 303_765_504, 0),
]
WINDOWS = [  # window, params, MACs, of these Lo-Fi, Hi-Fi; α = 0.9
    (1, 2_362_368, 521_428_992, 521_428_992, 0),
    (2, 2_198_528, 298_296_320, 237_081_600, 61_214_720),
    (3, 2_198_528, 305_088_000, 234_528_000, 70_560_000),
    (4, 2_198_528, 332_398_592, 251_658_240, 80_740_352),
    (5, 2_198_528, 285_672_960, 214_191_360, 71_481_600),
    (6, 2_198_528, 408_388_608, 304_542_720, 103_845_888),
    (7, 2_198_528, 245_027_840, 181_555_200, 63_472_640),
    (14, 2_198_528, 248_701_952, 177_853_440, 70_848_512),
]


def layer_for(geometry: Geometry, *, alpha: float, window: int, pooled_queries: bool = False) -> HiLo:
    return HiLo(geometry, alpha=alpha, window=window, pooled_queries=pooled_queries).double()


def tokens_for(geometry: Geometry) -> Tensor:
    return torch.randn(2, geometry.tokens, geometry.dim, dtype=torch.float64)


def softmax_attention(geometry: Geometry, qkv: Sequence[nn.Linear], proj: nn.Linear) -> nn.Module:
    """MSA with these weights."""
    layer = MultiHeadSelfAttention(geometry).double()
    layer.qkv.weight.data = torch.cat([part.weight for part in qkv])
    layer.qkv.bias.data = torch.cat([part.bias for part in qkv])
    layer.proj = proj
    return layer


def parameters_on_meta(*, alpha: float, window: int) -> int:
    with torch.device("meta"):
        layer = HiLo(TABLE_IV, alpha=alpha, window=window)
    return sum(parameter.numel() for parameter in layer.parameters())


@pytest.mark.parametrize("alpha", [0, 0.5, 1])
def test_equals_softmax_attention_when_a_window_is_one_token(alpha: float) -> None:
    geometry = Geometry(24, 4, 3, 5)
    layer, x = layer_for(geometry, alpha=alpha, window=1), tokens_for(geometry)
    torch.testing.assert_close(
        layer(x), softmax_attention(geometry, (layer.l_q, layer.l_kv), layer.l_proj)(x)
    )


def test_hi_fi_alone_equals_softmax_attention_when_a_window_is_the_map() -> None:
    geometry = Geometry(24, 4, 4, 4)
    layer, x = layer_for(geometry, alpha=0, window=4), tokens_for(geometry)
    torch.testing.assert_close(layer(x), softmax_attention(geometry, (layer.h_qkv,), layer.h_proj)(x))


def test_lo_fi_alone_equals_softmax_attention_where_the_tokens_of_a_window_are_equal() -> None:
    geometry = Geometry(24, 4, 6, 4)
    layer = layer_for(geometry, alpha=1, window=2)
    coarse = torch.randn(2, 3, 2, 24, dtype=torch.float64)
    x = coarse.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2).flatten(1, 2)
    torch.testing.assert_close(
        layer(x), softmax_attention(geometry, (layer.l_q, layer.l_kv), layer.l_proj)(x)
    )


def test_lo_fi_gives_every_token_the_value_of_the_mean_when_a_window_is_the_map() -> None:
    geometry = Geometry(24, 4, 3, 3)
    layer, x = layer_for(geometry, alpha=1, window=3), tokens_for(geometry)
    value = layer.l_kv(x.mean(dim=1, keepdim=True))[..., 24:]
    torch.testing.assert_close(layer(x), layer.l_proj(value).expand_as(x))


def test_zeros_at_the_bottom_and_right_complete_the_windows_and_take_part_in_them() -> None:
    ragged, whole = Geometry(24, 4, 5, 3), Geometry(24, 4, 6, 4)
    layer, larger = layer_for(ragged, alpha=0.5, window=2), layer_for(whole, alpha=0.5, window=2)
    larger.load_state_dict(layer.state_dict())
    x = tokens_for(ragged).unflatten(1, (5, 3))
    padded = torch.zeros(2, 6, 4, 24, dtype=torch.float64)
    padded[:, :5, :3] = x

    out = larger(padded.flatten(1, 2)).unflatten(1, (6, 4))[:, :5, :3]

    torch.testing.assert_close(layer(x.flatten(1, 2)), out.flatten(1, 2))


def test_the_first_channels_see_one_window_and_the_others_the_map() -> None:
    geometry = Geometry(24, 4, 4, 6)
    layer, x = layer_for(geometry, alpha=0.25, window=2), tokens_for(geometry).requires_grad_()
    high, low = layer(x)[0, 0].split((18, 6))  # the token at the top left, 3 Hi-Fi heads and 1 Lo-Fi head

    seen_high, seen_low = (torch.autograd.grad(part.sum(), x, retain_graph=True)[0] for part in (high, low))

    own_window = torch.zeros(4, 6, dtype=torch.bool)
    own_window[:2, :2] = True
    assert torch.equal(seen_high[0].any(dim=-1).view(4, 6), own_window)
    assert seen_low[0].any(dim=-1).all()


@pytest.mark.parametrize("size", [(6, 4), (5, 3), (1, 1)], ids=str)
@pytest.mark.parametrize(("alpha", "window"), [(0.5, 2), (1, 3), (0, 2), (0.5, 1)])
def test_with_pooled_queries_it_equals_the_formula_and_its_plain_form(
    size: tuple[int, int], alpha: float, window: int
) -> None:
    geometry = Geometry(8, 2, *size)
    layer, x = layer_for(geometry, alpha=alpha, window=window, pooled_queries=True), tokens_for(geometry)
    plain = PlainHiLo(geometry, alpha, window, pooled_queries=True).double()
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x), reference(layer, x, geometry, alpha, window, pooled_queries=True))
    torch.testing.assert_close(layer(x), plain(x))


def test_pooled_queries_are_attention_among_the_means_at_the_centres_of_windows() -> None:
    geometry, coarse = Geometry(24, 4, 6, 9), Geometry(24, 4, 2, 3)
    layer, x = layer_for(geometry, alpha=1, window=3, pooled_queries=True), tokens_for(geometry)
    among_means = softmax_attention(coarse, (layer.l_q, layer.l_kv), layer.l_proj)
    means = x.unflatten(1, (2, 3, 3, 3)).mean(dim=(2, 4)).flatten(1, 2)
    centres = layer(x).unflatten(1, (6, 9))[:, 1::3, 1::3].flatten(1, 2)
    torch.testing.assert_close(centres, among_means(means))


def test_pooled_queries_cost_what_the_paper_has_and_need_the_same_parameters() -> None:
    pooled = HiLo(TABLE_IV, alpha=0.9, window=2, pooled_queries=True)
    shapes = {name: value.shape for name, value in pooled.state_dict().items()}
    default = HiLo(TABLE_IV, alpha=0.9, window=2).state_dict()
    assert shapes == {name: value.shape for name, value in default.items()}
    assert count(pooled, TABLE_IV).macs == macs(TABLE_IV, 0.9, 2, pooled_queries=True) == 157_113_600


def test_the_number_of_lo_fi_heads_is_the_floating_point_product_cut_off() -> None:
    layer = HiLo(Geometry(100, 100, 2, 2), alpha=0.29, window=2)
    assert layer.low_heads == 28  # 100 · 0.29 is 28.999999999999996


@pytest.mark.parametrize(
    ("alpha", "window", "modules"),
    [
        (0.9, 2, {"l_q", "l_kv", "l_proj", "h_qkv", "h_proj"}),
        (0, 2, {"h_qkv", "h_proj"}),
        (1, 2, {"l_q", "l_kv", "l_proj"}),
        (0.1, 2, {"h_qkv", "h_proj"}),
        (0, 1, {"l_q", "l_kv", "l_proj"}),
    ],
)
def test_a_branch_without_heads_has_no_parameters(alpha: float, window: int, modules: set[str]) -> None:
    state = HiLo(Geometry(24, 4, 4, 4), alpha=alpha, window=window).state_dict()
    assert {name.partition(".")[0] for name in state} == modules


@pytest.mark.parametrize(("alpha", "low", "high", "params", "total", "lo_fi", "hi_fi"), SPLITS)
def test_costs_what_the_table_of_alpha_says(
    alpha: float, low: int, high: int, params: int, total: int, lo_fi: int, hi_fi: int
) -> None:
    assert hilo.build(TABLE_IV, alpha=alpha, window=2).low_heads == low
    assert low + high == TABLE_IV.heads
    assert parameters_on_meta(alpha=alpha, window=2) == params
    assert lo_fi_macs(TABLE_IV, alpha, window=2) == lo_fi
    assert hi_fi_macs(TABLE_IV, alpha, window=2) == hi_fi
    assert macs(TABLE_IV, alpha, window=2) == total


@pytest.mark.parametrize(("window", "params", "total", "lo_fi", "hi_fi"), WINDOWS)
def test_costs_what_the_table_of_windows_says(
    window: int, params: int, total: int, lo_fi: int, hi_fi: int
) -> None:
    assert parameters_on_meta(alpha=0.9, window=window) == params
    assert lo_fi_macs(TABLE_IV, 0.9, window) == lo_fi
    assert hi_fi_macs(TABLE_IV, 0.9, window) == hi_fi
    assert macs(TABLE_IV, 0.9, window) == total


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 7), (13, 17)], ids=str)
@pytest.mark.parametrize(("alpha", "window"), [(0, 3), (0.5, 1), (0.5, 2), (0.9, 4), (1, 2)])
def test_counts_what_the_closed_form_says_with_any_setting(
    size: tuple[int, int], alpha: float, window: int
) -> None:
    geometry = Geometry(24, 4, *size)
    for pooled_queries in (False, True):
        layer = HiLo(geometry, alpha=alpha, window=window, pooled_queries=pooled_queries)
        assert count(layer, geometry).macs == macs(geometry, alpha, window, pooled_queries)


@pytest.mark.parametrize("alpha", [-0.1, 7, float("nan")])
def test_refuses_an_alpha_that_is_no_share(alpha: float) -> None:
    with pytest.raises(InvalidSetting, match=f"alpha is {alpha}; it must lie between 0 and 1"):
        HiLo(TABLE_IV, alpha=alpha, window=2)


@pytest.mark.parametrize("alpha", [-0.1, 7])
def test_refuses_an_alpha_that_is_no_share_even_where_it_is_ignored(alpha: float) -> None:
    with pytest.raises(InvalidSetting, match="alpha"):
        HiLo(TABLE_IV, alpha=alpha, window=1)


def test_refuses_a_window_without_tokens() -> None:
    with pytest.raises(InvalidSetting, match="window is 0; it must be at least 1"):
        HiLo(TABLE_IV, alpha=0.9, window=0)
