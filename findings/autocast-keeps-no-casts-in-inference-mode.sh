#!/usr/bin/env bash
# Under autocast a layer casts its weights once, or at every call: inference_mode() and frozen weights decide.
#
# Version: torch 2.13.0, CPU.
# Expected: autocast keeps the bfloat16 copy of a weight until its context ends, so that a loop of calls within one
#   context casts each weight once; inference_mode() is no_grad() with less to do.
# Seen: so it is with gradients and under no_grad(). Under inference_mode(), and for weights that need no gradient, no
#   copy is kept: three calls cast weight and bias three times. So a timing loop inside one autocast context measures
#   two different things by which of the two modes stands around it, and freezing a layer makes it do more.
# What helps: one autocast context for each call, as a model has it, or weights that are cast beforehand.
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

CALLS = 3


def casts(layer, x):
    """Casts of weight and bias in one autocast context, without those of the input."""
    with profile() as seen, torch.autocast("cpu", dtype=torch.bfloat16):
        for _ in range(CALLS):
            layer(x)
    names = [event.name for event in seen.events()]
    return names.count("aten::_to_copy") - CALLS


torch.manual_seed(0)
x, layer = torch.randn(1, 49, 64), nn.Linear(64, 64)
print(f"torch {torch.__version__}; {CALLS} calls of one linear layer in one autocast context")
found = {}
for frozen in (False, True):
    layer.requires_grad_(not frozen)
    for mode in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with mode():
            found[frozen, mode.__name__] = casts(layer, x)
        weights = "frozen" if frozen else "to be trained"
        print(f"{weights:13} {mode.__name__:14} {found[frozen, mode.__name__]} casts of its two parameters")
kept = {(False, "enable_grad"), (False, "no_grad")}
assert found == {key: 2 if key in kept else 2 * CALLS for key in found}
PYTHON
