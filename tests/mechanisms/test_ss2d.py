"""SS2D's limits without steps and without decay, its directions, and how it starts."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, UnsupportedGeometry
from attnbench.measuring.cost import count
from mechanisms.ss2d import SelectiveScan, macs, ss2d
from tests.references.ss2d import reference

GEOMETRY = Geometry(16, 1, 3, 5)


def layer_for(geometry: Geometry = GEOMETRY, **settings: Any) -> SelectiveScan:
    return SelectiveScan(geometry, **{**ss2d.settings, **settings}).double()


def tokens_for(geometry: Geometry = GEOMETRY) -> Tensor:
    return torch.randn(2, geometry.tokens, geometry.dim, dtype=torch.float64)


def convolved(layer: SelectiveScan, x: Tensor) -> Tensor:
    """u, `[B, N, E]`."""
    image = layer.proj_in(x).mT.unflatten(-1, (layer.geometry.height, layer.geometry.width))
    return F.silu(layer.depthwise(image)).flatten(2).mT


def test_with_several_states_and_another_width_it_equals_the_formula() -> None:
    layer, x = layer_for(expand=1.5, state=3), tokens_for()
    torch.testing.assert_close(layer(x), reference(layer, x, GEOMETRY, expand=1.5, state=3))


def test_steps_of_zero_leave_the_token_itself() -> None:
    layer, x = layer_for(state=2), tokens_for()
    nn.init.constant_(layer.step_bias, -1e3)
    nn.init.normal_(layer.skip)
    u = convolved(layer, x)
    torch.testing.assert_close(layer(x), layer.proj_out(layer.norm(u * layer.skip.sum(dim=0))))


def test_without_decay_it_adds_up_in_four_directions() -> None:
    layer, x = layer_for(), tokens_for()
    nn.init.constant_(layer.log_rates, -1e3)
    nn.init.zeros_(layer.skip)
    nn.init.zeros_(layer.step)  # every step is that of the bias
    u = convolved(layer, x)
    delta = F.softplus(layer.step_bias)  # [4, E]
    add, read = (u @ layer.choose[:, row].T for row in (-2, -1))  # each [B, N, 4]

    by_columns = torch.arange(15).view(3, 5).T.flatten()
    y = torch.zeros_like(u)
    for k, order in enumerate((torch.arange(15), by_columns, torch.arange(15).flip(0), by_columns.flip(0))):
        sums = (delta[k] * add[..., k, None] * u)[:, order].cumsum(dim=1)
        y += read[..., k, None] * sums[:, order.argsort()]
    torch.testing.assert_close(layer(x), layer.proj_out(layer.norm(y)))


def with_directions(order: list[int], layer: SelectiveScan, geometry: Geometry) -> SelectiveScan:
    """The same layer for another map, with its directions in another order."""
    twin = layer_for(geometry)
    twin.load_state_dict(layer.state_dict())
    for parameter in (twin.choose, twin.step, twin.step_bias, twin.log_rates, twin.skip):
        parameter.data = parameter.data[order]
    return twin


def test_a_transposed_map_with_rows_and_columns_exchanged_gives_a_transposed_output() -> None:
    layer, x = layer_for(), tokens_for()
    twin = with_directions([1, 0, 3, 2], layer, Geometry(16, 1, 5, 3))
    twin.depthwise.weight.data = layer.depthwise.weight.data.mT
    turned = twin(x.unflatten(1, (3, 5)).transpose(1, 2).flatten(1, 2))
    torch.testing.assert_close(turned.unflatten(1, (5, 3)).transpose(1, 2).flatten(1, 2), layer(x))


def test_a_map_upside_down_with_the_senses_exchanged_gives_an_output_upside_down() -> None:
    layer, x = layer_for(), tokens_for()
    twin = with_directions([2, 3, 0, 1], layer, GEOMETRY)
    twin.depthwise.weight.data = layer.depthwise.weight.data.flip(-1, -2)
    torch.testing.assert_close(twin(x.flip(1)).flip(1), layer(x))


def test_steps_start_between_a_thousandth_and_a_tenth_and_rates_at_whole_numbers() -> None:
    layer = layer_for(Geometry(512, 1, 2, 2), state=3)
    steps = F.softplus(layer.step_bias.detach())
    assert steps.min() == pytest.approx(1e-3, rel=0.05)
    assert steps.max() == pytest.approx(1e-1, rel=0.05)
    assert steps.median() == pytest.approx(1e-2, rel=0.2)
    torch.testing.assert_close(layer.log_rates[3, 7].exp(), torch.tensor([1.0, 2.0, 3.0]).double())


def test_in_bfloat16_slow_decays_are_not_forgotten() -> None:
    geometry = Geometry(16, 1, 20, 20)
    layer, u = layer_for(geometry), torch.ones(1, 400, 16, dtype=torch.float64)
    nn.init.constant_(layer.step_bias, -6.0)  # a token keeps 0.9975, of which bfloat16 makes 0.9961
    nn.init.zeros_(layer.step)
    nn.init.zeros_(layer.skip)
    nn.init.constant_(layer.choose, 0.25)
    expected = layer.scan_all_ways(u)
    actual = layer.bfloat16().scan_all_ways(u.bfloat16())
    torch.testing.assert_close(actual.double(), expected, rtol=0.02, atol=0)


def test_the_first_papers_setting_costs_what_it_should() -> None:
    geometry = Geometry(768, 12, 14, 14)
    layer = SelectiveScan(geometry, expand=2.0, state=16)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 3_273_216
    assert macs(geometry, expand=2.0, state=16) == 620_777_472


def test_counts_what_the_closed_form_says_at_any_width_and_state() -> None:
    layer = SelectiveScan(GEOMETRY, expand=1.5, state=3)
    assert count(layer, GEOMETRY).macs == macs(GEOMETRY, expand=1.5, state=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"state": 0}, "ss2d: state is 0; it must be at least 1"),
        ({"expand": 0.0}, "ss2d: expand is 0.0; it must be finite and above 0"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        layer_for(**settings)


def test_a_width_below_one_channel_is_refused() -> None:
    with pytest.raises(UnsupportedGeometry, match=r"0\.25 times 2 channels is less than one"):
        layer_for(Geometry(2, 1, 3, 3), expand=0.25)
