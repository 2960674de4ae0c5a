"""What holds for every mechanism: exact counts, the contract at odd sizes, its plain transcription."""

import math
from pathlib import Path

import pytest
import torch

from attnbench import Geometry, UnsupportedGeometry
from attnbench.cases.registry import Registry, discover
from attnbench.measuring.contract import SIZES, examine
from attnbench.measuring.cost import count
from attnbench.paper import published

PLAIN = Path(__file__).parents[1] / "plain"
MANY_TOKENS = 400  # on a map: attention between all of them in float64 takes a second
FEW_HEADS = {"dat": 6}  # the fewest, where two do not do: an even number in threes
REFUSED = {("sra", "1x1"), ("t-msa", "1x1")}  # a map below the reduction leaves no keys

WITHOUT_HEADS = {"van", "hornet", "focal-modulation", "global-filter", "mlstm", "single-head", "ss2d"}

PARAMS_AND_MACS = {  # one layer of 768 channels and 12 heads on 14×14 tokens, complete and unrounded
    "msa": (2_362_368, 521_428_992),
    "cross-window": (2_370_048, 493_280_256),
    "dat": (2_378_796, 528_691_968),
    "performer": (2_362_368, 617_240_064),
    "linformer": (2_462_720, 616_562_688),
    "sra": (4_723_968, 419_559_168),
    "local-window": (2_362_368, 477_173_760),
    "shifted-window": (2_362_368, 477_173_760),
    "focal": (2_443_034, 526_851_072),
    "xca": (2_362_380, 481_689_600),
    "quadtree": (5_331_458, 622_884_864),
    "van": (1_830_144, 357_955_584),
    "hornet": (2_232_192, 436_512_384),
    "hilo": (2_198_528, 298_296_320),
}
SINCE = {  # the same of the layers that came after Table IV
    "rope": (2_362_368, 521_428_992),
    "gated": (2_952_960, 637_034_496),
    "swin-v2": (2_369_292, 478_385_152),
    "neighborhood": (2_362_368, 492_527_616),
    "grid": (2_364_396, 477_173_760),
    "bi-level-routing": (2_382_336, 487_296_768),
    "agent": (2_460_600, 494_202_240),
    "masa": (2_382_336, 474_614_784),
    "aggregated": (2_970_096, 659_680_000),
    "cascaded-group": (670_988, 140_618_240),
    "focused-linear": (2_515_328, 485_603_328),
    "relu-linear": (3_155_712, 657_656_832),
    "mila": (2_968_320, 600_155_136),
    "polarity-linear": (3_106_688, 620_928_000),
    "rala": (2_972_928, 601_359_360),
    "ss2d": (1_498_368, 292_325_376),
    "linear-sra": (2_954_496, 332_855_040),
    "single-head": (624_224, 129_359_216),
    "differential": (2_362_752, 550_932_480),
    "mala": (2_972_928, 601_208_832),
    "mlstm": (3_622_664, 826_699_776),
    "focal-modulation": (2_429_188, 475_517_952),
    "global-filter": (172_032, 2_865_568),
    "t-msa": (7_086_336, 896_732_928),
    "msa-rpe": (2_371_116, 521_428_992),
}
EVERY = PARAMS_AND_MACS | SINCE
OTHER_GEOMETRIES = [Geometry(768, 12, 13, 17), Geometry(384, 6, 28, 28), Geometry(96, 12, 5, 9)]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover([PLAIN])


@pytest.mark.parametrize("name", EVERY)
def test_costs_what_the_specification_says_to_the_last_digit(registry: Registry, name: str):
    geometry = Geometry(768, 12, 14, 14)
    cost = count(registry[name].build(geometry, **registry[name].settings), geometry)
    assert (cost.params, cost.macs) == EVERY[name]
    assert cost.uncounted == ()


@pytest.mark.parametrize("name", PARAMS_AND_MACS)
def test_rounds_to_the_published_numbers(name: str):
    params, macs = PARAMS_AND_MACS[name]
    paper = published()[name]
    assert round(params / 1e6, 2) == paper.params_m
    assert (round(macs / 1e6, 1) == paper.flops_m) == (not paper.note)


@pytest.mark.parametrize("geometry", OTHER_GEOMETRIES, ids=lambda geometry: f"{geometry.dim}-{geometry.size}")
@pytest.mark.parametrize("name", EVERY)
def test_the_closed_form_is_the_count_elsewhere_too(registry: Registry, name: str, geometry: Geometry):
    mechanism = registry[name]
    layer = mechanism.build(geometry, **mechanism.settings)
    assert mechanism.closed_form(geometry, **mechanism.settings) == count(layer, geometry).macs


@pytest.mark.parametrize("name", sorted(EVERY.keys() - WITHOUT_HEADS))
def test_heads_that_do_not_divide_the_channels_are_refused(registry: Registry, name: str):
    with pytest.raises(UnsupportedGeometry, match="8 heads do not divide 100 channels"):
        registry[name].build(Geometry(100, 8, 4, 4), **registry[name].settings)


@pytest.mark.parametrize("name", sorted(WITHOUT_HEADS))
def test_what_has_no_heads_does_not_care_whether_they_divide_the_channels(registry: Registry, name: str):
    results = examine(registry.choose(name), [Geometry(48, 7, 3, 4)])
    assert all(result.passed for result in results)


BY_COST = [
    pytest.param(name, Geometry(8 * heads, heads, *size), marks=marks, id=f"{name}-{size[0]}x{size[1]}")
    for name in EVERY
    for size in SIZES
    for heads, marks in [
        (6, []) if math.prod(size) <= MANY_TOKENS else (FEW_HEADS.get(name, 2), [pytest.mark.slow])
    ]
]


@pytest.mark.parametrize(("name", "geometry"), BY_COST)
def test_keeps_the_contract_or_refuses_the_size(registry: Registry, name: str, geometry: Geometry):
    results = list(examine(registry.choose(name), [geometry]))
    assert [result for result in results if result.passed is False] == []
    refused = any(result.passed is None for result in results)
    assert refused == ((name, results[0].geometry.size) in REFUSED)


@pytest.mark.parametrize("name", EVERY)
def test_equals_its_plain_transcription_with_the_same_weights(registry: Registry, name: str):
    geometry = Geometry(48, 6, 14, 14)
    layer, plain = (registry[n].build(geometry, **registry[n].settings) for n in (name, f"plain-{name}"))
    targets = plain.state_dict()
    plain.load_state_dict({key: value.view_as(targets[key]) for key, value in layer.state_dict().items()})
    x = torch.randn(2, geometry.tokens, geometry.dim)
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-4, atol=1e-5)
