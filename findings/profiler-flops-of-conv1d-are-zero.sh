#!/usr/bin/env bash
# The profiler's FLOPs of a 1×1 Conv1d are 0, and those of the same Conv2d and of the same Linear are whole.
#
# Version: torch 2.13.0, CPU.
# Expected: profile(with_flops=True) is documented for matrix multiplication and 2D convolution; a 1×1 convolution over
#   tokens is one, whatever its class, and the operator that runs below all of them is the same.
# Seen: the formula hangs on the name aten::conv2d. Conv1d, ConvTranspose2d and fused attention are 0 and Conv2d is
#   whole, without a mark on what was left out; so the projections of a layer count or not by their class, and MFLOP/s
#   made of it are too low.
# What helps: a counter that looks at aten::convolution, such as FlopCounterMode.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
KINETO_LOG_LEVEL=99 venv/bin/python - <<'PYTHON'
import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import profile
from torch.utils.flop_counter import FlopCounterMode

B, N, C = 2, 196, 64


def flops(call):
    with torch.no_grad():
        with profile(with_flops=True) as seen:
            call()
        with FlopCounterMode(display=False) as counter:
            call()
    return sum(event.flops or 0 for event in seen.key_averages()), counter.get_total_flops()


torch.manual_seed(0)
x, q = torch.randn(B, C, N), torch.randn(B, 4, N, C // 4)
linear, line, image = (make() for make in (
    lambda: nn.Linear(C, C, bias=False),
    lambda: nn.Conv1d(C, C, 1, bias=False),
    lambda: nn.Conv2d(C, C, 1, bias=False),
))
transposed = nn.ConvTranspose2d(C, C, 1, bias=False)
line.load_state_dict({"weight": linear.weight[..., None]})
image.load_state_dict({"weight": linear.weight[..., None, None]})
torch.testing.assert_close(linear(x.mT).mT, line(x))
torch.testing.assert_close(line(x), image(x[..., None])[..., 0])

PROJECTION, PRODUCTS = 2 * B * N * C * C, 2 * 2 * B * N * N * C
found = {
    "Linear": (flops(lambda: linear(x.mT)), (PROJECTION, PROJECTION)),
    "Conv2d, 1×1": (flops(lambda: image(x[..., None])), (PROJECTION, PROJECTION)),
    "Conv1d, 1×1": (flops(lambda: line(x)), (0, PROJECTION)),
    "ConvTranspose2d, 1×1": (flops(lambda: transposed(x[..., None])), (0, PROJECTION)),
    "q kᵀ v": (flops(lambda: q @ q.mT @ q), (PRODUCTS, PRODUCTS)),
    "fused attention": (flops(lambda: F.scaled_dot_product_attention(q, q, q)), (0, 0)),
}
print(f"torch {torch.__version__}; FLOPs, two for a multiply-add")
for name, ((profiled, counted), _) in found.items():
    print(f"{name:21} profiler {profiled:>10,}   FlopCounterMode {counted:>10,}")
assert all(seen == expected for seen, expected in found.values())
PYTHON
