#!/usr/bin/env bash
# torch.backends.cuda.enable_flash_sdp(False) turns off fused attention on the CPU, where no CUDA is.
#
# Version: torch 2.13.0, CPU.
# Expected: a switch in torch.backends.cuda, which is documented for CUDA's kernels, changes nothing on a CPU.
# Seen: it is the CPU's switch as well. With it off, attention on a CPU runs as two products with a softmax between them
#   and writes the N×N map; enable_mem_efficient_sdp, its neighbour, does nothing there. A script that turns flash off
#   to be reproducible on a GPU times another algorithm on a CPU.
# What helps: with sdpa_kernel(...): around what is meant, which ends with its block.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
KINETO_LOG_LEVEL=99 venv/bin/python - <<'PYTHON'
import torch
import torch.nn.functional as F
from torch.profiler import profile

FLASH = "aten::_scaled_dot_product_flash_attention_for_cpu"
MATH = "aten::_scaled_dot_product_attention_math"


def ran(q):
    with profile() as seen:
        F.scaled_dot_product_attention(q, q, q)
    return {FLASH, MATH} & {event.name for event in seen.events()}


q = torch.randn(2, 4, 49, 32)
found = {"as torch comes": (ran(q), FLASH)}
torch.backends.cuda.enable_mem_efficient_sdp(False)
found["enable_mem_efficient_sdp(False)"] = ran(q), FLASH
torch.backends.cuda.enable_flash_sdp(False)
found["enable_flash_sdp(False)"] = ran(q), MATH
torch.backends.cuda.enable_flash_sdp(True)
found["enable_flash_sdp(True)"] = ran(q), FLASH

print(f"torch {torch.__version__}; tensors on {q.device}, cuda.is_available() is {torch.cuda.is_available()}")
for switch, (names, _) in found.items():
    print(f"{switch:32} {', '.join(names)}")
assert all(names == {expected} for names, expected in found.values())
PYTHON
