#!/usr/bin/env bash
# ptflops counts torch.matmul(a, b) and not a @ b.
#
# Versions: ptflops 0.7.5, torch 2.13.0.
# Expected: `@` and torch.matmul are one operation, so a layer's count is the same with either.
# Seen: by the backend that looks at modules and functions, attention that is written with `@` (as most published
#   layers are) or with einsum counts its projections alone; with torch.matmul or torch.bmm it counts the products too.
#   The backend that looks at operators counts all four. No message says that something was left out.
# What helps: backend=FLOPS_BACKEND.ATEN, and a closed form to hold the count against.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile ptflops==0.7.5 torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import contextlib
import io
from importlib.metadata import version

import torch
import torch.nn.functional as F
from ptflops import FLOPS_BACKEND, get_model_complexity_info
from torch import nn

N, C = 196, 64
PRODUCTS = 2 * N * N * C


class Attention(nn.Module):
    """Attention without scale and softmax, of which no count depends."""

    def __init__(self, attend):
        super().__init__()
        self.attend, self.out = attend, nn.Linear(C, C, bias=False)

    def forward(self, x):
        return self.out(self.attend(x, x, x))


def macs(attend, backend):
    with contextlib.redirect_stdout(io.StringIO()):
        return get_model_complexity_info(
            Attention(attend), (N, C), as_strings=False, print_per_layer_stat=False, backend=backend
        )[0]


spellings = {
    "nothing": (lambda q, k, v: v, 0, 0),
    "torch.matmul": (lambda q, k, v: torch.matmul(torch.matmul(q, k.mT), v), PRODUCTS, PRODUCTS),
    "@": (lambda q, k, v: q @ k.mT @ v, 0, PRODUCTS),
    "torch.bmm": (lambda q, k, v: torch.bmm(torch.bmm(q, k.mT), v), PRODUCTS, PRODUCTS),
    "torch.einsum": (
        lambda q, k, v: torch.einsum("bnm,bmc->bnc", torch.einsum("bnc,bmc->bnm", q, k), v),
        0,
        PRODUCTS,
    ),
}
print(f"ptflops {version('ptflops')}, torch {torch.__version__}; {N} tokens, {C} channels, products {PRODUCTS:,}")
base = {backend: macs(spellings["nothing"][0], backend) for backend in FLOPS_BACKEND}
for name, (attend, by_function, by_operator) in spellings.items():
    seen = {backend: macs(attend, backend) - base[backend] for backend in FLOPS_BACKEND}
    print(f"{name:12} functions {seen[FLOPS_BACKEND.PYTORCH]:>9,}   operators {seen[FLOPS_BACKEND.ATEN]:>9,}")
    assert seen == {FLOPS_BACKEND.PYTORCH: by_function, FLOPS_BACKEND.ATEN: by_operator}, (name, seen)
PYTHON
