"""Deformable token merging (Pan et al., 2022): four tokens become one, from where the map says.

A 2 × 2 convolution of stride 2 reads its taps not at their cells but beside them, where an ordinary 2 × 2
convolution of stride 2, Δ = conv(x), says: a row's offset and a column's for each tap.

    out(r, c) = GELU(BatchNorm(b + Σ_ij W_ij x(2r + i + Δ^y_ij(r, c), 2c + j + Δ^x_ij(r, c))))

x between cells is bilinear, and zero outside of the map. Δ begins as zero, and the layer as a convolution. A
map with an odd side loses its last row or column as a place for taps, which offsets may still reach.

MACs for N' = ⌊H/2⌋⌊W/2⌋ tokens of C channels and 2C after it: 32N'C for the offsets, 8N'C² for the taps,
4N'C for the norm. Reading is free, as gathers and sums are.

The four cells around each tap are read as a bag of embeddings, which weighs and sums them while it gathers,
and one matmul takes the four taps. On one thread of a Xeon with AVX-512, for 8 maps of 56 × 56 tokens and 96
channels, that takes 21 ms, and 82 with gradients. Gathers with sums after them take 36 and 129, torch's
sampler on channels-first maps 39 and 161; an ordinary convolution of this shape, which this is at first, 14
and 42.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench import Geometry
from mechanisms._maps import as_channels_first

SIDE = 2
TAPS = SIDE**2


class DeformableTokenMerging(nn.Module):
    """Half the rows and columns of a map, twice its channels, by a convolution whose taps move."""

    part = "token merging"

    rows: Tensor
    columns: Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        c = geometry.dim
        self.offsets = nn.Conv2d(c, 2 * TAPS, kernel_size=SIDE, stride=SIDE)  # a tap's row, then its column
        self.taps = nn.Conv2d(c, 2 * c, kernel_size=SIDE, stride=SIDE)
        self.norm = nn.BatchNorm2d(2 * c)
        for parameter in self.offsets.parameters():
            nn.init.zeros_(parameter)
        # In which the matmul reads the weight of the taps as it is.
        self.taps.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        self.merged = (geometry.height // SIDE, geometry.width // SIDE)
        rows, columns = _cells_of_taps(*self.merged)
        self.register_buffer("rows", rows, persistent=False)  # [N', 4], where taps are without an offset
        self.register_buffer("columns", columns, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, N, C]` to tokens `[B, N', 2C]`."""
        taps = self.read(x, self.offsets_of(x))
        merged = F.linear(taps, self.taps.weight.permute(0, 2, 3, 1).flatten(1), self.taps.bias)
        maps = merged.unflatten(1, self.merged).permute(0, 3, 1, 2)
        return F.gelu(self.norm(maps)).permute(0, 2, 3, 1).flatten(1, 2)

    def offsets_of(self, x: Tensor) -> Tensor:
        """How far from its cell each tap reads, in rows and columns: `[B, N, C]` to `[B, N', 4, 2]`."""
        offsets = self.offsets(as_channels_first(x, self.geometry))
        return offsets.permute(0, 2, 3, 1).flatten(1, 2).unflatten(-1, (TAPS, 2))

    def read(self, x: Tensor, offsets: Tensor) -> Tensor:
        """The taps of each merged token side by side, `[B, N', 4C]`: tokens `[B, N, C]` at moved places."""
        rows, row_weights = _around(self.rows, offsets[..., 0], self.geometry.height)
        columns, column_weights = _around(self.columns, offsets[..., 1], self.geometry.width)
        cells = rows.unsqueeze(-1) * self.geometry.width + columns.unsqueeze(-2)  # [B, N', 4, 2, 2]
        weights = row_weights.unsqueeze(-1) * column_weights.unsqueeze(-2)
        first = torch.arange(x.shape[0], device=x.device) * self.geometry.tokens  # of each image
        cells = cells.flatten(-2) + first[:, None, None, None]  # [B, N', 4, 4]
        taps = F.embedding_bag(
            cells.flatten(0, 2),
            x.flatten(0, 1),
            per_sample_weights=weights.flatten(-2).flatten(0, 2),
            mode="sum",
        )
        return taps.unflatten(0, cells.shape[:3]).flatten(2)


def _around(places: Tensor, offsets: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The two cells of a side between which each moved place lies, and their weights, each `[..., 2]`.

    A cell outside has weight zero and the number of one inside. Whole steps move numbers of cells, so that a
    place on a large map is as exact as its offset.
    """
    steps = offsets.detach().floor()
    beyond = offsets - steps
    before = places + steps.long()
    cells = torch.stack([before, before + 1], dim=-1)
    weights = torch.stack([1 - beyond, beyond], dim=-1)
    inside = (cells >= 0) & (cells < length)
    return cells.clamp(0, length - 1), weights * inside


def _cells_of_taps(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Row and column of every tap of every merged token of height × width, taps row-major: each `[N', 4]`."""
    tokens = torch.cartesian_prod(torch.arange(height), torch.arange(width))
    taps = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE))
    rows, columns = (SIDE * tokens.unsqueeze(1) + taps).unbind(-1)
    return rows, columns


def merging_macs(geometry: Geometry) -> int:
    n, c = (geometry.height // SIDE) * (geometry.width // SIDE), geometry.dim
    return 2 * TAPS * TAPS * n * c + 2 * TAPS * n * c**2 + 2 * n * 2 * c
