"""Heads in a row, in each window of the padded map; head i reads its channels plus what head i − 1 gave.

    q, k, v = norm(W f),     q = norm(depthwise(q)),     softmax(q kᵀ / √key + table[|Δrow| w + |Δcolumn|]) v
    out = norm(W relu(heads side by side))

The norms are batch norms, over all tokens of all windows of all images.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from attnbench import Geometry
from tests.references._batch_norm import batch_norm
from tests.references._pieces import attention, depthwise, pad


def reference(layer: Any, x: Tensor, geometry: Geometry, window: int, key: int) -> Tensor:
    height, width = geometry.height, geometry.width
    w, d = min(window, height, width), geometry.head_dim
    padded = [pad(image.reshape(height, width, -1), w) for image in x]
    corners = [
        (image, top, left)
        for image in range(len(x))
        for top in range(0, padded[0].shape[0], w)
        for left in range(0, padded[0].shape[1], w)
    ]
    windows = torch.stack([padded[i][top : top + w, left : left + w] for i, top, left in corners])

    heads: list[Tensor] = []
    for index, head in enumerate(layer.heads):
        f = windows[..., index * d : (index + 1) * d]
        if heads:
            f = f + heads[-1]
        qkv = batch_norm(head.norm, f @ head.qkv.weight.reshape(-1, d).T)
        q, k, v = qkv.split((key, key, d), dim=-1)
        convolution = SimpleNamespace(weight=head.local.weight, bias=torch.zeros(key))
        q = batch_norm(head.local_norm, torch.stack([depthwise(one, convolution) for one in q]))
        bias = distances(layer.table[index], w)
        q, k, v = (part.flatten(1, 2) for part in (q, k, v))  # each [windows, w², channels]
        outs = [attention(q[i], k[i], v[i], 1, bias) for i in range(len(windows))]
        heads.append(torch.stack(outs).reshape(f.shape))
    weight = layer.proj.weight.reshape(geometry.dim, geometry.dim)
    out = batch_norm(layer.proj_norm, torch.relu(torch.cat(heads, dim=-1)) @ weight.T)

    images = torch.zeros(len(x), *padded[0].shape)
    for (image, top, left), one in zip(corners, out, strict=True):
        images[image, top : top + w, left : left + w] = one
    return images[:, :height, :width].flatten(1, 2)


def distances(table: Tensor, w: int) -> Tensor:
    """What a head adds between the tokens of a window: `[1, w², w²]`."""
    places = [(row, column) for row in range(w) for column in range(w)]
    rows = [torch.stack([table[abs(r - s) * w + abs(c - d)] for s, d in places]) for r, c in places]
    return torch.stack(rows).unsqueeze(0)
