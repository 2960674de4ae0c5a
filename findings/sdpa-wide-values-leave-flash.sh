#!/usr/bin/env bash
# On a CPU torch's fused attention leaves its fused kernel where values are wider than queries.
#
# Version: torch 2.13.0.
# Expected: scaled_dot_product_attention documents queries and keys of E channels and values of Ev, which may differ.
#   Differential attention has values twice as wide as queries, and would be guessed to run in the fused kernel as any
#   other attention does.
# Seen: with Ev = E the call is one flash kernel; with Ev = 2 E it runs as matmuls with a softmax between them, without a
#   word, and writes the N×N weights to memory: the same numbers, and more scratch than the whole output.
# What helps: split the values into parts as wide as the queries and ask for each, where memory counts for more than the
#   weights that are made twice.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
KINETO_LOG_LEVEL=99 venv/bin/python - <<'PYTHON'
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

E, N = 32, 196
FLASH = "aten::_scaled_dot_product_flash_attention_for_cpu"


def ran(width):
    q, k, v = (torch.randn(1, 4, N, each) for each in (E, E, width))
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        out = F.scaled_dot_product_attention(q, k, v)
    names = {event.name for event in profiler.events()}
    assert torch.allclose(out, ((q @ k.mT) / E**0.5).softmax(-1) @ v, atol=1e-5)
    return "flash" if FLASH in names else "bmm and softmax" if "aten::bmm" in names else "neither"


print(f"torch {torch.__version__}, {N} tokens, queries of {E} channels")
found = {width: ran(width) for width in (E, 2 * E, E // 2)}
for width, kernel in found.items():
    print(f"values of {width} channels: {kernel}")
assert found == {E: "flash", 2 * E: "bmm and softmax", E // 2: "bmm and softmax"}
PYTHON
