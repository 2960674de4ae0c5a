"""Focal attention with the ring from four rolled copies of keys and values, concatenated with the rest.

The pooled neighbourhood comes from an unfold, and its mask is rebuilt in every forward.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms.focal import focal


def window_partition(x: Tensor, window: int) -> Tensor:
    """[B, H, W, C] to [B · windows, window², C]."""
    b, h, w, c = x.shape
    x = x.view(b, h // window, window, w // window, window, c)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, window * window, c)


def window_reverse(windows: Tensor, window: int, h: int, w: int) -> Tensor:
    """[B · windows, window², C] to [B, H, W, C]."""
    b = windows.shape[0] // (h // window * w // window)
    x = windows.view(b, h // window, w // window, window, window, -1)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(b, h, w, -1)


class PlainFocal(nn.Module):
    ring_cells: Tensor
    own_index: Tensor
    pooled_index: Tensor

    def __init__(self, geometry: Geometry, window: int, expand: int, focal_window: int) -> None:
        super().__init__()
        if min(geometry.height, geometry.width) <= window:
            window, expand = min(geometry.height, geometry.width), 0
        self.height, self.width = geometry.height, geometry.width
        self.missing_rows, self.missing_columns = -geometry.height % window, -geometry.width % window
        self.window, self.expand, self.focal_window = window, expand, focal_window
        self.heads = geometry.heads
        self.scale = geometry.head_dim**-0.5

        self.qkv = nn.Linear(geometry.dim, 3 * geometry.dim)
        self.proj = nn.Linear(geometry.dim, geometry.dim)
        self.pool = nn.Linear(window**2, 1)
        nn.init.constant_(self.pool.weight, 1 / window**2)
        nn.init.zeros_(self.pool.bias)

        self.own_bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, geometry.heads))
        self.register_buffer("own_index", self.relative_index(window), persistent=False)
        if expand > 0:
            self.register_buffer("ring_cells", self.cells_outside(), persistent=False)
            self.ring_bias = nn.Parameter(
                nn.init.trunc_normal_(
                    torch.empty(1, geometry.heads, window**2, self.ring_cells.numel()), std=0.02
                )
            )
        self.pooled_bias = nn.Parameter(
            nn.init.trunc_normal_(torch.empty(geometry.heads, (window + focal_window - 1) ** 2), std=0.02)
        )
        index = self.relative_index(focal_window)
        self.register_buffer("pooled_index", index, persistent=False)

    def relative_index(self, keys: int) -> Tensor:
        """Where a table holds the bias of each query of the window and each cell of a keys × keys square."""
        query = torch.stack(torch.meshgrid(*2 * [torch.arange(self.window)], indexing="ij")).flatten(1)
        key = torch.stack(torch.meshgrid(*2 * [torch.arange(keys)], indexing="ij")).flatten(1)
        difference = query[:, :, None] - key[:, None, :] + keys - 1
        return difference[0] * (self.window + keys - 1) + difference[1]

    def cells_outside(self) -> Tensor:
        """The cells of the four rolled windows, one after the other, that lie outside the window itself."""
        w, e = self.window, self.expand
        masks = [torch.ones(w, w) for _ in range(4)]
        masks[0][:-e, :-e] = 0
        masks[1][:-e, e:] = 0
        masks[2][e:, :-e] = 0
        masks[3][e:, e:] = 0
        return torch.stack(masks).flatten().nonzero().flatten()

    def split_heads(self, x: Tensor) -> Tensor:
        """[B, N, C] to [B, heads, N, D]."""
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def with_ring(self, x: Tensor) -> Tensor:
        """The windows of a map [B, H, W, C], each followed by the tokens of its ring."""
        own = window_partition(x, self.window)
        if self.expand == 0:
            return own
        e = self.expand
        rolled = [
            window_partition(torch.roll(x, shifts=shifts, dims=(1, 2)), self.window)
            for shifts in ((-e, -e), (-e, e), (e, -e), (e, e))
        ]
        return torch.cat((own, torch.cat(rolled, dim=1)[:, self.ring_cells]), dim=1)

    def neighbourhood(self, x: Tensor) -> Tensor:
        """The pooled tokens around each window: [B, H, W, C] to [B · H · W, f², C]."""
        b, h, w, c = x.shape
        f = self.focal_window
        x = F.unfold(x.permute(0, 3, 1, 2), kernel_size=f, padding=f // 2)
        return x.view(b, c, f * f, h * w).permute(0, 3, 2, 1).contiguous().view(b * h * w, f * f, c)

    def bias(self, rows: int, columns: int) -> Tensor:
        """What is added to the logits: [windows, heads, window², keys]."""
        own = self.own_bias[self.own_index.view(-1)].view(self.window**2, self.window**2, -1)
        biases = [own.permute(2, 0, 1).contiguous()]
        if self.expand > 0:
            biases.append(self.ring_bias[0])
        pooled = self.pooled_bias[:, self.pooled_index.view(-1)]
        biases.append(pooled.view(self.heads, self.window**2, self.focal_window**2))
        bias = torch.cat(biases, dim=-1)

        inside = torch.ones(1, rows, columns, 1, dtype=bias.dtype, device=bias.device)
        inside = self.neighbourhood(inside).squeeze(-1)  # [windows, f²]
        mask = torch.zeros_like(inside).masked_fill(inside == 0, -100.0)
        mask = F.pad(mask, (bias.shape[-1] - mask.shape[-1], 0))
        return bias.unsqueeze(0) + mask[:, None, None, :]

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        x = x.view(b, self.height, self.width, c)
        if self.missing_rows or self.missing_columns:
            x = F.pad(x, (0, 0, 0, self.missing_columns, 0, self.missing_rows))
        h, w = x.shape[1:3]
        rows, columns = h // self.window, w // self.window

        qkv = self.qkv(x).reshape(b, h, w, 3, c).permute(3, 0, 1, 2, 4).contiguous()
        q, k, v = qkv[0], qkv[1], qkv[2]
        pooled = window_partition(x, self.window).transpose(1, 2)
        pooled = self.pool(pooled).view(b, rows, columns, c)
        pooled_qkv = self.qkv(pooled).reshape(b, rows, columns, 3, c).permute(3, 0, 1, 2, 4).contiguous()

        q = self.split_heads(window_partition(q, self.window))
        k = self.split_heads(torch.cat((self.with_ring(k), self.neighbourhood(pooled_qkv[1])), dim=1))
        v = self.split_heads(torch.cat((self.with_ring(v), self.neighbourhood(pooled_qkv[2])), dim=1))

        attention = (q * self.scale) @ k.transpose(-2, -1)
        bias = self.bias(rows, columns)
        attention = attention.view(b, rows * columns, *attention.shape[1:]) + bias
        attention = attention.flatten(0, 1).softmax(dim=-1)
        out = (attention @ v).transpose(1, 2).reshape(-1, self.window**2, c)

        out = window_reverse(out, self.window, h, w)
        if self.missing_rows or self.missing_columns:
            out = out[:, : self.height, : self.width, :].contiguous()
        projected: Tensor = self.proj(out.view(b, n, c))
        return projected


plain_focal = replace(focal, name="plain-focal", title="Focal, plain", build=PlainFocal)
