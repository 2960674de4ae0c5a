"""Parts of a packed projection, each in memory of its own."""

import torch.nn.functional as F
from torch import Tensor, nn


def project_in_parts(x: Tensor, packed: nn.Linear, widths: tuple[int, ...]) -> list[Tensor]:
    """packed(x) cut along the channels: `[B, N, width]` for each of `widths`, whose sum is the output's.

    One product for each part of the weight. Whoever wants a part contiguous, as a convolution does, would
    copy a slice of a joint output.
    """
    parts = zip(packed.weight.split(widths), packed.bias.split(widths), strict=True)
    return [F.linear(x, weight, bias) for weight, bias in parts]
