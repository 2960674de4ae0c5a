#!/usr/bin/env bash
# fvcore counts a matmul whose left operand is broadcast as if the batch were one.
#
# Versions: fvcore 0.1.5.post20221221, torch 2.13.0.
# Expected: W @ x with W [K, N] and x [B, N, C] is B products of K·N·C multiply-adds. That is how a layer mixes tokens
#   (Linformer's projection of keys, an MLP-Mixer, a pooling matrix).
# Seen: K·N·C for every B: the count takes the batch from the left operand. The same W, expanded to the batch or
#   standing on the right of a transposed x, counts B times that. Nothing is reported as unsupported.
# What helps: expand W before a count. Counting one image is not enough: heads and windows that share W are missed as well.
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
from fvcore.nn import FlopCountAnalysis
from torch import nn

logging.disable(logging.WARNING)
B, N, K, C = 8, 196, 49, 64


class Mix(nn.Module):
    """Maps N tokens to K, with one matrix for all images."""

    def __init__(self, mix):
        super().__init__()
        self.mix, self.weight = mix, nn.Parameter(torch.ones(K, N))

    def forward(self, x):
        return self.mix(self.weight, x)


spellings = {
    "W @ x": (lambda w, x: w @ x, K * N * C),
    "W.expand(B, K, N) @ x": (lambda w, x: w.expand(x.shape[0], -1, -1) @ x, B * K * N * C),
    "(xᵀ @ Wᵀ)ᵀ": (lambda w, x: (x.mT @ w.mT).mT, B * K * N * C),
}
x = torch.randn(B, N, C)
outputs = []
print(f"fvcore {version('fvcore')}, torch {torch.__version__}; B·K·N·C = {B * K * N * C:,}")
for name, (mix, counted) in spellings.items():
    analysis = FlopCountAnalysis(Mix(mix), x)
    print(f"{name:22} {analysis.total():>10,}   not counted: {', '.join(analysis.unsupported_ops()) or 'nothing'}")
    assert analysis.total() == counted, (name, analysis.total(), counted)
    assert "aten::matmul" not in analysis.unsupported_ops()
    outputs.append(Mix(mix)(x))
for other in outputs[1:]:
    torch.testing.assert_close(outputs[0], other)
PYTHON
