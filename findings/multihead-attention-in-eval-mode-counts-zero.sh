#!/usr/bin/env bash
# torch's FlopCounterMode has three answers for one nn.MultiheadAttention, and in eval mode the answer is 0.
#
# Version: torch 2.13.0, CPU.
# Expected: train() and eval() of a layer without dropout compute the same, and need_weights only says whether the
#   attention map is handed out too; the count is one number.
# Seen: everything while training with need_weights; the projections alone without (the fused CPU kernel has no
#   formula); and 0 in eval mode without gradients, where the whole layer is one operator that has no formula. A model
#   that is counted as it is used, by eval() and no_grad(), lacks its attention, and nothing warns of it.
# What helps: count under sdpa_kernel(SDPBackend.MATH), with gradients on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

N, C, HEADS = 196, 64, 4
PROJECTIONS, PRODUCTS = 4 * N * C * C, 2 * N * N * C


def macs(layer, x, need_weights):
    with FlopCounterMode(display=False) as counter:
        layer(x, x, x, need_weights=need_weights)
    return counter.get_total_flops() // 2


torch.manual_seed(0)
x = torch.randn(1, N, C)
layer = nn.MultiheadAttention(C, HEADS, batch_first=True)
training, training_lean = (macs(layer.train(), x, weights) for weights in (True, False))
trained = layer(x, x, x)[0]
with torch.no_grad():
    inference, inference_lean = (macs(layer.eval(), x, weights) for weights in (True, False))
    used = layer(x, x, x)[0]
with sdpa_kernel(SDPBackend.MATH):
    plain = macs(layer, x, need_weights=False)

print(f"torch {torch.__version__}; {N} tokens, {C} channels; multiply-adds = counted FLOPs / 2")
print(f"closed form                           {PROJECTIONS + PRODUCTS:>10,}")
print(f"train(), need_weights=True            {training:>10,}")
print(f"train(), need_weights=False           {training_lean:>10,}")
print(f"eval() and no_grad(), either          {inference:>10,}")
print(f"eval() with gradients, kernel MATH    {plain:>10,}")
assert training == plain == PROJECTIONS + PRODUCTS
assert training_lean == PROJECTIONS
assert inference == inference_lean == 0
torch.testing.assert_close(used, trained)
PYTHON
