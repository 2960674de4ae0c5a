"""What backbones are made of, written out: tap by tap, token by token."""

from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._batch_norm import batch_norm
from tests.references._pieces import depthwise


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def patch_embedding(layer: Any, images: Tensor, patch: int) -> Tensor:
    """b + Σ_cij w_cij · image[c, p · r + i, p · s + j] for each patch (r, s); beyond the image is zero."""
    _, _, height, width = images.shape
    out = []
    for image in images:
        tokens = []
        for top in range(0, height, patch):
            for left in range(0, width, patch):
                pixels = image[:, top : top + patch, left : left + patch]
                weight = layer.weight[:, :, : pixels.shape[1], : pixels.shape[2]]
                tokens.append((weight * pixels).sum(dim=(1, 2, 3)) + layer.bias)
        out.append(torch.stack(tokens))
    return torch.stack(out)


def conv_feed_forward(layer: Any, x: Tensor, geometry: Geometry) -> Tensor:
    """W₂ GELU(depthwise(W₁ x))."""
    images = []
    for image in x:
        hidden = image @ layer.expand.weight.T + layer.expand.bias
        moved = depthwise(hidden.reshape(geometry.height, geometry.width, -1), layer.depthwise)
        images.append(gelu(moved.flatten(0, 1)) @ layer.reduce.weight.T + layer.reduce.bias)
    return torch.stack(images)


def deformable_merging(layer: Any, x: Tensor, geometry: Geometry) -> Tensor:
    """GELU(BatchNorm(b + Σ_ij W_ij x(2r + i + Δy_ij, 2c + j + Δx_ij))), Δ a 2 × 2 convolution of stride 2."""
    images = []
    for image in x:
        grid = image.reshape(geometry.height, geometry.width, -1)
        tokens = []
        for row in range(geometry.height // 2):
            for column in range(geometry.width // 2):
                square = grid[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]  # [2, 2, C]
                offsets = torch.einsum("ocij,ijc->o", layer.offsets.weight, square) + layer.offsets.bias
                token = layer.taps.bias
                for tap in range(4):
                    i, j = divmod(tap, 2)
                    y, x_ = 2 * row + i + offsets[2 * tap], 2 * column + j + offsets[2 * tap + 1]
                    token = token + layer.taps.weight[:, :, i, j] @ between(grid, y, x_)
                tokens.append(token)
        images.append(torch.stack(tokens))
    return gelu(batch_norm(layer.norm, torch.stack(images)))


def between(grid: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """A map `[H, W, C]` at one place: each cell by how near it is, up to a distance of one; zero outside."""
    total = torch.zeros_like(grid[0, 0])
    for row in range(grid.shape[0]):
        for column in range(grid.shape[1]):
            near = (1 - (y - row).abs()).clamp(min=0) * (1 - (x - column).abs()).clamp(min=0)
            total = total + near * grid[row, column]
    return total


def patch_merging(layer: Any, x: Tensor, geometry: Geometry) -> Tensor:
    """W LayerNorm of the four tokens of each square side by side, row by row; beyond the map is zero."""
    images = []
    for image in x:
        grid = image.reshape(geometry.height, geometry.width, -1)
        tokens = []
        for row in range(0, geometry.height, 2):
            for column in range(0, geometry.width, 2):
                cells = [
                    grid[r, c] if r < geometry.height and c < geometry.width else torch.zeros_like(grid[0, 0])
                    for r in (row, row + 1)
                    for c in (column, column + 1)
                ]
                four = torch.cat(cells)
                centred = four - four.mean()
                normal = centred / (centred.square().mean() + 1e-5).sqrt()
                tokens.append(layer.reduce.weight @ (normal * layer.norm.weight + layer.norm.bias))
        images.append(torch.stack(tokens))
    return torch.stack(images)
