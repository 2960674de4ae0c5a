"""Agent attention: what passes through the agents, what they are, and what the biases say to them."""

import pytest
import torch
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting
from attnbench.attention import attend
from mechanisms.agent import AgentAttention

DIM, HEADS = 24, 3


def layer_for(height: int, width: int, agents: int) -> AgentAttention:
    return AgentAttention(Geometry(DIM, HEADS, height, width), agents=agents)


def bare(height: int, width: int, agents: int) -> AgentAttention:
    """A layer without convolution and biases, and with the identity as its last projection."""
    layer = layer_for(height, width, agents)
    for part in (layer.local, layer.gathering, layer.reading, layer.proj):
        for parameter in part.parameters():
            nn.init.zeros_(parameter)
    nn.init.eye_(layer.proj.weight)
    return layer


def tokens_for(layer: AgentAttention) -> Tensor:
    return torch.randn(2, layer.geometry.tokens, DIM)


def projected(layer: AgentAttention, x: Tensor) -> tuple[Tensor, ...]:
    """q, k and v, each `[B, heads, N, D]`."""
    return layer.qkv(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4).unbind()


def joined(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)


def test_with_an_agent_for_every_token_two_softmaxes_follow_each_other() -> None:
    layer = bare(7, 7, agents=7)
    x = tokens_for(layer)
    q, k, v = projected(layer, x)
    torch.testing.assert_close(layer(x), joined(attend(q, q, attend(q, k, v))))


def test_one_agent_gives_every_token_what_the_mean_query_finds() -> None:
    layer = bare(4, 5, agents=1)
    x = tokens_for(layer)
    q, k, v = projected(layer, x)
    expected = joined(attend(q.mean(dim=-2, keepdim=True), k, v))
    torch.testing.assert_close(layer(x), expected.expand_as(x))


def test_values_that_are_all_the_same_pass_both_softmaxes_as_they_are() -> None:
    layer = layer_for(5, 4, agents=2)
    nn.init.zeros_(layer.qkv.weight[2 * DIM :].detach())
    for parameter in layer.local.parameters():
        nn.init.zeros_(parameter)
    expected = layer.proj(layer.qkv.bias[2 * DIM :])
    x = tokens_for(layer)
    torch.testing.assert_close(layer(x), expected.expand_as(x))


def test_a_row_that_gathering_favours_is_all_that_the_agents_see() -> None:
    layer = bare(4, 5, agents=1)
    layer.gathering.rows.data[:, :, 2] = 100
    x = tokens_for(layer)
    q, k, v = projected(layer, x)
    row = slice(2 * 5, 3 * 5)
    expected = joined(attend(q.mean(dim=-2, keepdim=True), k[:, :, row], v[:, :, row]))
    torch.testing.assert_close(layer(x), expected.expand_as(x))


def test_an_agent_that_reading_favours_in_a_column_answers_alone_there() -> None:
    layer = bare(4, 4, agents=2)
    layer.reading.columns.data[:, 3, :, 1] = 100
    x = tokens_for(layer)
    q, k, v = projected(layer, x)
    last = q.unflatten(2, (4, 4))[:, :, 2:, 2:].mean(dim=(2, 3)).unsqueeze(2)  # its cell is bottom right
    actual = layer(x).unflatten(1, (4, 4))[:, :, 1]
    torch.testing.assert_close(actual, joined(attend(last, k, v)).expand_as(actual))


def test_a_coarse_map_is_enlarged_between_the_centres_of_its_cells() -> None:
    bias = layer_for(1, 14, agents=1).gathering
    for parameter in bias.parameters():
        nn.init.zeros_(parameter)
    bias.coarse.data[:] = torch.arange(7.0)
    expected = torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4.25, 4.75, 5.25, 5.75, 6])
    torch.testing.assert_close(bias()[0, 0], expected)


def test_a_grid_without_agents_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="agent: agents is 0; it must be at least 1"):
        layer_for(4, 4, agents=0)
