#!/usr/bin/env bash
# torch's FlopCounterMode counts the backward pass of a depthwise convolution hundreds of times too large.
#
# Version: torch 2.13.0.
# Expected: each of the two gradients of a convolution, to its input and to its weight, takes as many multiply-adds as
#   its forward pass, whatever the number of groups; so the backward pass counts twice the forward.
# Seen: exactly twice for one group. With groups the weight's gradient is counted as if the convolution were dense:
#   1 + groups times the forward pass, 769 times for a depthwise one of 768 channels.
# What helps: count the forward pass and take twice that.
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

C, SIDE, KERNEL = 768, 14, 3


def flops(call):
    with FlopCounterMode(display=False) as counter:
        result = call()
    return counter.get_total_flops(), result


print(f"torch {torch.__version__}; {KERNEL}×{KERNEL} convolution of {C} channels on {SIDE}×{SIDE}")
for groups in (1, 12, C):
    layer = nn.Conv2d(C, C, KERNEL, padding=KERNEL // 2, groups=groups, bias=False)
    x = torch.randn(1, C, SIDE, SIDE, requires_grad=True)
    forward, out = flops(lambda: layer(x))
    backward, _ = flops(lambda: torch.autograd.grad(out, [x, layer.weight], torch.ones_like(out)))
    print(f"groups {groups:3}: forward {forward:>13,}  backward {backward:>13,}  = {backward / forward:g} × forward")
    assert forward == 2 * C * (C // groups) * SIDE**2 * KERNEL**2
    assert backward == (1 + groups) * forward
PYTHON
