"""QuadTree attention (type B with LePE) in plain PyTorch.

Maps are channels-first; topk and gather stand for the CUDA kernels of the paper's code.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.quadtree import quadtree


class ValueBranch(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm_1 = nn.GroupNorm(1, dim)
        self.reduce = nn.Conv2d(dim, dim, 2, stride=2)
        self.norm_2 = nn.GroupNorm(1, dim)
        self.point = nn.Conv2d(dim, dim, 1)

    def forward(self, v: Tensor) -> Tensor:
        v = self.reduce(F.gelu(self.norm_1(v)))
        return self.point(F.gelu(self.norm_2(v)))


class PlainQuadtree(nn.Module):
    def __init__(self, geometry: Geometry, levels: int, keys: int) -> None:
        super().__init__()
        dim = geometry.dim
        self.height, self.width = geometry.height, geometry.width
        self.heads, self.levels, self.keys = geometry.heads, levels, keys
        self.scale = geometry.head_dim**-0.5
        multiple = 2 ** (levels - 1)
        self.padding = (0, -geometry.width % multiple, 0, -geometry.height % multiple)
        self.q = nn.Conv2d(dim, dim, 1)
        self.k = nn.Conv2d(dim, dim, 1)
        self.v = nn.Conv2d(dim, dim, 1)
        self.value = nn.ModuleList(ValueBranch(dim) for _ in range(levels - 1))
        self.lepe = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1, groups=dim) for _ in range(levels))
        self.level_weights = nn.Parameter(torch.randn(levels))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        b, _, c = x.shape
        x = x.transpose(1, 2).reshape(b, c, self.height, self.width)
        if any(self.padding):
            x = F.pad(x, self.padding)

        pyramid = [(self.q(x), self.k(x), self.v(x))]
        for branch in self.value:
            q, k, v = pyramid[-1]
            pyramid.append((F.avg_pool2d(q, 2), F.avg_pool2d(k, 2), branch(v)))

        weights = self.level_weights.softmax(dim=0)
        q, k, v = pyramid.pop()
        message, kept = self.coarsest(q, k, v)
        out = weights[0] * (message + self.lepe[0](v))
        for level, (q, k, v) in enumerate(reversed(pyramid), start=1):
            candidates = self.refine(kept, q.shape[3])
            message, attention = self.finer(q, k, v, candidates)
            out = out.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            out = out + weights[level] * (message + self.lepe[level](v))
            if level + 1 < self.levels:
                kept = self.keep(attention, candidates, q.shape)

        out = out[:, :, : self.height, : self.width].flatten(2).transpose(1, 2)
        return self.proj(out)

    def split_heads(self, x: Tensor) -> Tensor:
        """A map `[B, C, H, W]` as tokens `[B, heads, N, D]`."""
        return x.reshape(len(x), self.heads, -1, x.shape[2] * x.shape[3]).transpose(2, 3)

    def coarsest(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The message `[B, C, H, W]` of all keys, and the kept ones `[B, heads, N, K]`."""
        shape = q.shape
        q, k, v = (self.split_heads(t) for t in (q, k, v))
        attention = torch.einsum("bhnd,bhmd->bhnm", q, k) * self.scale
        attention = attention.softmax(dim=-1)
        message = torch.einsum("bhnm,bhmd->bhnd", attention, v)
        kept = attention.topk(min(self.keys, attention.shape[-1]), dim=-1).indices
        return message.transpose(2, 3).reshape(shape), kept

    def refine(self, kept: Tensor, width: int) -> Tensor:
        """The four children, on a map of `width` columns, of kept keys: `[B, heads, parents, 4K]`."""
        row, column = kept // (width // 2) * 2, kept % (width // 2) * 2
        corner = row * width + column
        steps = torch.tensor([0, 1, width, width + 1], device=kept.device)
        return (corner.unsqueeze(-1) + steps).flatten(3)

    def finer(self, q: Tensor, k: Tensor, v: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """The message `[B, C, H, W]` of the candidates and their weights `[B, heads, parents, 4, 4K]`."""
        b, c, height, width = q.shape
        q = q.reshape(b, self.heads, -1, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 4, 6, 2)
        q = q.reshape(b, self.heads, height * width // 4, 4, -1)
        index = candidates.flatten(2).unsqueeze(-1).expand(-1, -1, -1, q.shape[-1])
        k = self.split_heads(k).gather(2, index).reshape(*candidates.shape, -1)
        v = self.split_heads(v).gather(2, index).reshape(*candidates.shape, -1)

        attention = torch.einsum("bhpqd,bhpkd->bhpqk", q, k) * self.scale
        if any(self.padding):
            side = (self.height + self.padding[3]) // height  # of one cell, on the finest map
            row, column = candidates // width * side, candidates % width * side
            outside = torch.logical_or(row >= self.height, column >= self.width)
            attention = attention.masked_fill(outside.unsqueeze(3), float("-inf"))
        attention = attention.softmax(dim=-1)
        message = torch.einsum("bhpqk,bhpkd->bhpqd", attention, v)
        message = message.reshape(b, self.heads, height // 2, width // 2, 2, 2, -1)
        return message.permute(0, 1, 6, 2, 4, 3, 5).reshape(b, c, height, width), attention

    def keep(self, attention: Tensor, candidates: Tensor, shape: torch.Size) -> Tensor:
        """The candidates of most weight for each query, `[B, heads, N, K]`, queries in row-major order."""
        b, _, height, width = shape
        keys = candidates.shape[-1] // 4
        best = attention.topk(keys, dim=-1).indices  # [B, heads, parents, 4, K]
        kept = candidates.unsqueeze(3).expand(-1, -1, -1, 4, -1).gather(4, best)
        kept = kept.reshape(b, self.heads, height // 2, width // 2, 2, 2, keys).permute(0, 1, 2, 4, 3, 5, 6)
        return kept.reshape(b, self.heads, height * width, keys)


plain_quadtree = replace(quadtree, name="plain-quadtree", title="QuadTree, plain", build=PlainQuadtree)
