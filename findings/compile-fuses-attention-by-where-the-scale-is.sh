#!/usr/bin/env bash
# torch.compile turns explicit attention into fused attention, or does not, by where the scale stands.
#
# Version: torch 2.13.0, CPU, with a C++ compiler.
# Expected: compiling attention that is written as two products with a softmax between them fuses what is elementwise
#   and keeps the products; and (q · s) kᵀ, as timm writes it, compiles as (q kᵀ) · s does.
# Seen: (q kᵀ) · s becomes one flash kernel that writes no N×N map. With the scale on q, with a bias as relative
#   positions have, or where a gradient is asked for, both products stay. So «compiled, explicit» names two algorithms,
#   and comparing two compiled layers may compare kernels.
# What helps: look for the kernel in the profiler, as here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
KINETO_LOG_LEVEL=99 venv/bin/python - <<'PYTHON'
import torch
from torch.profiler import profile

HEADS, N, D = 4, 196, 32
SCALE = D**-0.5
FLASH = "aten::_scaled_dot_product_flash_attention_for_cpu"
BMM = "aten::bmm"
BIAS = torch.ones(1, HEADS, N, N)


def scale_on_logits(q, k, v):
    return ((q @ k.mT) * SCALE).softmax(-1) @ v


def ran(call, *inputs):
    torch.compiler.reset()
    compiled = torch.compile(call)
    torch.testing.assert_close(compiled(*inputs), call(*inputs), rtol=1e-4, atol=1e-4)
    with profile() as seen:
        compiled(*inputs)
    return {FLASH, BMM} & {event.name for event in seen.events()}


torch.manual_seed(0)
torch.set_num_threads(1)
q, k, v = torch.randn(3, 2, HEADS, N, D)
with torch.no_grad():
    found = {
        "(q kᵀ) · s": (ran(scale_on_logits, q, k, v), FLASH),
        "(q · s) kᵀ": (ran(lambda q, k, v: ((q * SCALE) @ k.mT).softmax(-1) @ v, q, k, v), BMM),
        "(q kᵀ) · s + bias": (ran(lambda q, k, v: ((q @ k.mT) * SCALE + BIAS).softmax(-1) @ v, q, k, v), BMM),
    }
found["(q kᵀ) · s, for gradients"] = ran(scale_on_logits, q.requires_grad_(), k, v), BMM
print(f"torch {torch.__version__}; compiled")
for spelling, (names, _) in found.items():
    print(f"{spelling:25} {', '.join(names)}")
assert all(names == {expected} for names, expected in found.values())
PYTHON
