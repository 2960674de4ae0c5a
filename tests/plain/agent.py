"""Agent: softmax attention from pooled queries to all tokens, then from all tokens to those."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.agent import agent

from ._pieces import heads_of, joined, softmax_attention


class Bias(nn.Module):
    """A 7 × 7 map for each head and agent, in the size of the tokens' map, with rows and columns added."""

    def __init__(self, geometry: Geometry, count: int) -> None:
        super().__init__()
        self.size = (geometry.height, geometry.width)
        self.coarse = nn.Parameter(torch.empty(geometry.heads, count, 7, 7))
        self.rows = nn.Parameter(torch.empty(geometry.heads, count, geometry.height, 1))
        self.columns = nn.Parameter(torch.empty(geometry.heads, count, 1, geometry.width))
        for parameter in self.parameters():
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self) -> Tensor:
        coarse = F.interpolate(self.coarse, size=self.size, mode="bilinear", align_corners=False)
        return coarse.flatten(2) + (self.rows + self.columns).flatten(2)


class PlainAgent(nn.Module):
    """out = proj(softmax(q gᵀ / √D + b'ᵀ) softmax(g kᵀ / √D + b) v + depthwise(v)), g = pool(q)."""

    def __init__(self, geometry: Geometry, agents: int) -> None:
        super().__init__()
        self.geometry = geometry
        self.agents = agents
        c = geometry.dim
        self.qkv = nn.Linear(c, 3 * c)
        self.gathering = Bias(geometry, agents**2)
        self.reading = Bias(geometry, agents**2)
        self.local = nn.Conv2d(c, c, kernel_size=3, padding=1, groups=c)
        self.proj = nn.Linear(c, c)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N, C]`."""
        q, k, v = heads_of(self.qkv(tokens), 3, self.geometry.heads)
        pooled = F.adaptive_avg_pool2d(self.image(q), self.agents).flatten(2).mT  # [B, A, C]
        (agents,) = heads_of(pooled, 1, self.geometry.heads)

        gathered = softmax_attention(agents, k, v, self.gathering())
        out = joined(softmax_attention(q, agents, gathered, self.reading().mT))
        return self.proj(out + self.local(self.image(v)).flatten(2).mT)

    def image(self, heads: Tensor) -> Tensor:
        """Heads `[B, heads, N, D]` side by side as a map `[B, C, H, W]`."""
        return joined(heads).mT.unflatten(2, (self.geometry.height, self.geometry.width))


plain_agent = replace(agent, name="plain-agent", title="Agent, plain", build=PlainAgent)
