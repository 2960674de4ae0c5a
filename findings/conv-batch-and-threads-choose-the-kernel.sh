#!/usr/bin/env bash
# The batch and the threads decide whether a 1×1 convolution runs in oneDNN at all.
#
# Version: torch 2.13.0, CPU.
# Expected: on a CPU with oneDNN every float32 convolution is oneDNN's, whatever its size; so the time of a batch says
#   something about the time of one image, and one thread does what two do, with half the hands.
# Seen: kernels of up to 3×3 leave it for torch's own unfold and product: with one thread for batches under 16 where the
#   kernel is 1×1, with two only for inputs of up to 20,480 numbers. 5×5 and depthwise stay. So «batch 1 against batch
#   64» and «one thread against two» compare two libraries, for some layers of a comparison and not for others.
# What helps: name the batch and the threads beside a time, and look at the operator where a curve has a kink.
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

ONEDNN, OWN = "aten::mkldnn_convolution", "aten::_slow_conv2d_forward"


def ran(threads, batch, kernel, side=14, groups=1, channels=384):
    torch.set_num_threads(threads)
    layer = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=groups)
    with torch.inference_mode(), profile() as seen:
        layer(torch.randn(batch, channels, side, side))
    return {ONEDNN, OWN} & {event.name for event in seen.events()}


print(f"torch {torch.__version__}; 384 channels, 20,480 numbers are 384 on 7×7 and a bit")
cases = [
    ("1×1, 14×14, batch 1, 1 thread", ran(1, 1, 1), OWN),
    ("1×1, 14×14, batch 15, 1 thread", ran(1, 15, 1), OWN),
    ("1×1, 14×14, batch 16, 1 thread", ran(1, 16, 1), ONEDNN),
    ("1×1, 14×14, batch 1, 2 threads", ran(2, 1, 1), ONEDNN),
    ("1×1, 7×7, batch 1, 2 threads", ran(2, 1, 1, side=7), OWN),
    ("3×3, 7×7, batch 1, 2 threads", ran(2, 1, 3, side=7), OWN),
    ("3×3, 7×7, batch 2, 2 threads", ran(2, 2, 3, side=7), ONEDNN),
    ("5×5, 7×7, batch 1, 2 threads", ran(2, 1, 5, side=7), ONEDNN),
    ("depthwise 3×3, 7×7, batch 1, 1 thread", ran(1, 1, 3, side=7, groups=384), ONEDNN),
]
for case, names, _ in cases:
    print(f"{case:38} {', '.join(names)}")
assert all(names == {expected} for _, names, expected in cases)
PYTHON
