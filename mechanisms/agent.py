"""Agent attention (Han et al., 2024).

A few agents stand between queries and keys: they gather from all tokens, and every token reads from them.
Agents are means of the queries over the cells of an a × a grid that covers the map. In each head, with
A = a² agents g:

    g = pool(q)
    u = softmax(g kᵀ / √D + b) v,          what the agents gather, A × D
    out = softmax(q gᵀ / √D + b'ᵀ) u + depthwise(v)

b and b', A × N for each head, say where an agent looks and whom it answers. Each is the sum of a coarse map
of 7 × 7 numbers, enlarged bilinearly, a number for every row and one for every column. The depthwise
convolution is 3 × 3.

Rows and columns have numbers of their own, so that a layer is for its map; any map will do. Where a side is
shorter than the grid, cells share tokens.

MACs for N tokens of C channels and h heads: 4NC² for the projections, 4NAC for the two attentions, 9NC for
the convolution, 8hAN to enlarge the two coarse maps, by 4 for each number.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry, InvalidSetting, Mechanism, Paper
from attnbench.attention import attend
from mechanisms._images import few_images_at_a_time
from mechanisms._maps import as_channels_first, as_tokens

COARSE = 7  # the side of the coarse maps, whatever the number of agents


class PlaceBias(nn.Module):
    """A number for each head, agent and token: a coarse map, enlarged, plus rows plus columns."""

    def __init__(self, geometry: Geometry, agents: int) -> None:
        super().__init__()
        self.size = (geometry.height, geometry.width)
        self.coarse = _normal(geometry.heads, agents, COARSE, COARSE)
        self.rows = _normal(geometry.heads, agents, geometry.height, 1)
        self.columns = _normal(geometry.heads, agents, 1, geometry.width)

    def forward(self) -> Tensor:
        """The bias `[heads, A, N]`."""
        enlarged = F.interpolate(self.coarse, self.size, mode="bilinear")
        return (enlarged + (self.rows + self.columns)).flatten(2)


class AgentAttention(nn.Module):
    """Attention of agents to all tokens, and of all tokens to the agents."""

    def __init__(self, geometry: Geometry, *, agents: int) -> None:
        super().__init__()
        geometry.require_shared_channels()
        if agents < 1:
            raise InvalidSetting(f"agent: agents is {agents}; it must be at least 1, the side of their grid.")
        self.geometry = geometry
        self.agents = agents
        c = geometry.dim
        self.qkv = nn.Linear(c, 3 * c)
        self.gathering = PlaceBias(geometry, agents**2)
        self.reading = PlaceBias(geometry, agents**2)
        self.local = nn.Conv2d(c, c, 3, padding=1, groups=c)
        self.proj = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        reading = self.reading().mT.contiguous()  # [heads, N, A]; in order, as every image adds it
        attention = partial(self.through_agents, gathering=self.gathering(), reading=reading)
        return self.proj(few_images_at_a_time(attention, self.qkv(x)))

    def through_agents(self, qkv: Tensor, gathering: Tensor, reading: Tensor) -> Tensor:
        """out before `proj`, `[B, N, C]`, from projections `[B, N, 3C]`."""
        queries, keys, values = qkv.chunk(3, dim=-1)
        agents = F.adaptive_avg_pool2d(as_channels_first(queries, self.geometry), self.agents)
        g, q, k, v = map(self.in_heads, (as_tokens(agents), queries, keys, values))
        heads = attend(q, g, attend(g, k, v, gathering), reading)  # [B, heads, N, D]

        out = as_tokens(self.local(as_channels_first(values, self.geometry)))
        self.in_heads(out).add_(heads)  # in place: the fresh output of a convolution
        return out

    def in_heads(self, tokens: Tensor) -> Tensor:
        """View tokens `[B, N, C]` as `[B, heads, N, D]`."""
        return tokens.unflatten(-1, (self.geometry.heads, -1)).transpose(1, 2)


def _normal(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


def macs(geometry: Geometry, agents: int) -> int:
    n, c, a = geometry.tokens, geometry.dim, agents**2
    return 4 * n * c**2 + 4 * n * a * c + 9 * n * c + 8 * geometry.heads * a * n


agent = Mechanism(
    name="agent",
    title="Agent",
    build=AgentAttention,
    macs=macs,
    settings={"agents": 7},
    paper=Paper(
        title="Agent Attention: On the Integration of Softmax and Linear Attention",
        venue="ECCV",
        year=2024,
        url="https://arxiv.org/abs/2312.08874",
    ),
    family="softmax",
)
