"""Linformer as it is usually written, with einsum."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.linformer import linformer


class PlainLinformer(nn.Module):
    def __init__(self, geometry: Geometry, rank: int) -> None:
        super().__init__()
        self.heads = geometry.heads
        self.scale = geometry.head_dim**-0.5
        self.query = nn.Linear(geometry.dim, geometry.dim)
        self.kv = nn.Linear(geometry.dim, 2 * geometry.dim)
        self.reduce_k = nn.Parameter(torch.empty(geometry.tokens, rank).uniform_(-(rank**-0.5), rank**-0.5))
        self.reduce_v = nn.Parameter(torch.empty(geometry.tokens, rank).uniform_(-(rank**-0.5), rank**-0.5))
        self.proj = nn.Linear(geometry.dim, geometry.dim)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q = self.query(x) * self.scale
        k, v = self.kv(x).chunk(2, dim=-1)
        k = torch.einsum("bnc,nk->bkc", k, self.reduce_k)
        v = torch.einsum("bnc,nk->bkc", v, self.reduce_v)

        q = q.reshape(b, n, self.heads, -1).transpose(1, 2)
        k, v = (t.reshape(b, -1, self.heads, c // self.heads).transpose(1, 2) for t in (k, v))
        attention = torch.einsum("bhnd,bhkd->bhnk", q, k).softmax(dim=-1)
        out = torch.einsum("bhnk,bhkd->bhnd", attention, v)
        return self.proj(out.transpose(1, 2).reshape(b, n, c))


plain_linformer = replace(linformer, name="plain-linformer", title="Linformer, plain", build=PlainLinformer)
