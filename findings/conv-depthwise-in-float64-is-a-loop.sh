#!/usr/bin/env bash
# A depthwise convolution in float64 runs on a CPU as one convolution for each channel.
#
# Version: torch 2.13.0, CPU.
# Expected: float64 takes twice the bytes and about twice the time of float32, in the same way of computing.
# Seen: oneDNN has no float64, and torch's own convolution knows no groups: it cuts out each group, convolves it, and
#   puts them together again. 384 channels are 384 convolutions, and 1 in float32. A check of a layer against itself in
#   float64 spends its time there, and a profile in float64 says nothing about float32.
# What helps: check at few channels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
KINETO_LOG_LEVEL=99 venv/bin/python - <<'PYTHON'
import torch
from torch import nn
from torch.profiler import profile

CHANNELS = 384
ONEDNN, OWN = "aten::mkldnn_convolution", "aten::_slow_conv2d_forward"


def convolutions(dtype, groups):
    layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=groups, dtype=dtype)
    with torch.inference_mode(), profile() as seen:
        layer(torch.randn(16, CHANNELS, 14, 14, dtype=dtype))
    names = [event.name for event in seen.events()]
    return names.count(ONEDNN), names.count(OWN)


torch.set_num_threads(1)
print(f"torch {torch.__version__}; 3×3, {CHANNELS} channels on 14×14, 16 images")
for groups in (1, 12, CHANNELS):
    single, double = (convolutions(dtype, groups) for dtype in (torch.float32, torch.float64))
    print(f"{groups:3} groups: float32 {single[0]} of oneDNN, {single[1]} of torch's own", end="; ")
    print(f"float64 {double[0]} and {double[1]}")
    assert single == (1, 0) and double == (0, groups)
PYTHON
