#!/usr/bin/env bash
# fvcore counts no multiply-adds for fused attention, nor for baddbmm: the spelling of a layer decides its FLOPs.
#
# Versions: fvcore 0.1.5.post20221221, torch 2.13.0.
# Expected: one layer with the same weights and outputs has one count, however its attention is spelled.
# Seen: for 196 tokens and 64 channels 8.13 M with two matmuls, 5.67 M where the logits come from baddbmm, and 3.21 M
#   with scaled_dot_product_attention or in nn.MultiheadAttention: the four projections alone. What is left out is
#   named in unsupported_ops() and in a warning, among unflatten, mul and softmax, which cost nothing there either way.
#   Meanwhile small terms are in: LayerNorm counts 5 for each element.
# What helps: handles of one's own (set_op_handle), and a closed form to hold the count against.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile fvcore==0.1.5.post20221221 torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import logging
from importlib.metadata import version

import torch
import torch.nn.functional as F
from fvcore.nn import FlopCountAnalysis
from torch import nn

logging.disable(logging.WARNING)
N, C, HEADS = 196, 64, 4
PROJECTIONS, PRODUCT = 4 * N * C * C, N * N * C


class Attention(nn.Module):
    def __init__(self, attend):
        super().__init__()
        self.attend, self.qkv, self.out = attend, nn.Linear(C, 3 * C), nn.Linear(C, C)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        return self.out(self.attend(q, k, v).transpose(1, 2).flatten(2))


class Packaged(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(C, HEADS, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


def two_matmuls(q, k, v):
    return torch.matmul(torch.matmul(q, k.mT).mul(q.shape[-1] ** -0.5).softmax(-1), v)


def with_baddbmm(q, k, v):
    flat_q, flat_k = q.flatten(0, 1), k.flatten(0, 1)
    logits = torch.baddbmm(q.new_zeros(()), flat_q, flat_k.mT, beta=0, alpha=q.shape[-1] ** -0.5)
    return torch.matmul(logits.unflatten(0, q.shape[:2]).softmax(-1), v)


torch.manual_seed(0)
x = torch.randn(1, N, C)
layers = {
    "two matmuls": (Attention(two_matmuls), PROJECTIONS + 2 * PRODUCT),
    "baddbmm, matmul": (Attention(with_baddbmm), PROJECTIONS + PRODUCT),
    "scaled_dot_product_attention": (Attention(F.scaled_dot_product_attention), PROJECTIONS),
    "nn.MultiheadAttention": (Packaged(), PROJECTIONS),
    "LayerNorm": (nn.LayerNorm(C), 5 * N * C),
}
print(f"fvcore {version('fvcore')}, torch {torch.__version__}; {N} tokens, {C} channels")
print(f"{'closed form of attention':30} {PROJECTIONS + 2 * PRODUCT:>10,}")
for name, (layer, counted) in layers.items():
    total = FlopCountAnalysis(layer.eval(), x).total()
    print(f"{name:30} {total:>10,}")
    assert total == counted, (name, total, counted)

weights = layers["two matmuls"][0].state_dict()
outputs = []
for name in list(layers)[:3]:
    layers[name][0].load_state_dict(weights)
    outputs.append(layers[name][0](x))
torch.testing.assert_close(outputs[0], outputs[1])
torch.testing.assert_close(outputs[0], outputs[2])
PYTHON
