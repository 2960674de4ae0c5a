#!/usr/bin/env bash
# torch's FlopCounterMode counts nothing for an nn.LSTM on a CPU, and all of nn.GRU, nn.RNN and the LSTM in float64.
#
# Version: torch 2.13.0, CPU.
# Expected: the three recurrent layers are counted alike, and in one number format as in another.
# Seen: an LSTM of float32 is one oneDNN operator, for which the counter has no formula: 0, in train() with gradients
#   too. In float64, which oneDNN does not have, it is made of matmuls and counts whole. So a scan over rows and columns
#   of a map looks free by LSTM and dear by GRU, and no warning says which.
# What helps: torch.backends.mkldnn.flags(enabled=False) during the count.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

B, N, C = 2, 49, 64
GATES = {nn.RNN: 1, nn.GRU: 3, nn.LSTM: 4}


def macs(layer, dtype):
    x = torch.randn(B, N, C, dtype=dtype)
    with FlopCounterMode(display=False) as counter:
        layer(C, C, batch_first=True, dtype=dtype)(x)
    return counter.get_total_flops() // 2


print(f"torch {torch.__version__}; {N} tokens of {C} channels, {B} images")
for layer, gates in GATES.items():
    closed_form = B * N * gates * C * 2 * C
    found = macs(layer, torch.float32), macs(layer, torch.float64)
    with torch.backends.mkldnn.flags(enabled=False):
        without = macs(layer, torch.float32)
    print(f"{layer.__name__:4} {closed_form:>9,}   float32 {found[0]:>9,}   float64 {found[1]:>9,}", end="   ")
    print(f"float32 without oneDNN {without:>9,}")
    assert found == (0 if layer is nn.LSTM else closed_form, closed_form)
    assert without == closed_form
PYTHON
