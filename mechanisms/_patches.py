"""A convolution that reads every token once."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PatchConvolution(nn.Conv2d):
    """A convolution whose stride is its kernel: one matmul over patches of a channels-last map.

    Rows and columns that fill no patch are left out, as a strided convolution does. The weight keeps a
    convolution's shape `[out, in, size, size]` in channels-last memory, where the matmul reads it as it is.
    """

    def __init__(self, dim: int, size: int) -> None:
        super().__init__(dim, dim, kernel_size=size, stride=size)
        self.size = size
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Map a map `[B, H, W, C]` to a map `[B, H/size, W/size, C]`."""
        rows, columns = x.shape[1] // self.size, x.shape[2] // self.size
        x = x[:, : rows * self.size, : columns * self.size]
        patches = x.unflatten(2, (columns, self.size)).unflatten(1, (rows, self.size)).transpose(2, 3)
        return F.linear(patches.flatten(3), self.weight.permute(0, 2, 3, 1).flatten(1), self.bias)
