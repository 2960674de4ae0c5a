#!/usr/bin/env bash
# fvcore counts a convolution as nothing while a TorchDispatchMode is active, and all the rest as before.
#
# Versions: fvcore 0.1.5.post20221221, torch 2.13.0.
# Expected: a mode that only looks on (one that lists operators, or a profiler of one's own) changes no count.
# Seen: inside the mode torch's trace, which fvcore reads, has no convolution at all: it is in neither the total nor the
#   unsupported operators. A layer that adds a convolution to its input is counted as 0; a linear layer is counted alike
#   inside and outside.
# What helps: look on in a forward pass of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile fvcore==0.1.5.post20221221 torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import logging
from contextlib import nullcontext
from importlib.metadata import version

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

logging.disable(logging.WARNING)
CHANNELS, SIDE = 8, 14


class LooksOn(TorchDispatchMode):
    """Runs every operator as it is."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        return operator(*args, **(kwargs or {}))


class Added(nn.Module):
    """x + inner(x)."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


def counted(layer, x, mode):
    analysis = FlopCountAnalysis(Added(layer).eval(), x)
    with torch.no_grad(), mode:
        return analysis.total(), set(analysis.unsupported_ops()) - {"aten::add"}


print(f"fvcore {version('fvcore')}, torch {torch.__version__}")
cases = {
    "convolution": (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), torch.randn(1, CHANNELS, SIDE, SIDE)),
    "linear layer": (nn.Linear(CHANNELS, CHANNELS), torch.randn(1, SIDE**2, CHANNELS)),
}
found = {}
for name, (layer, x) in cases.items():
    found[name] = [counted(layer, x, mode) for mode in (nullcontext(), LooksOn())]
    for where, (macs, unsupported) in zip(("outside", "inside"), found[name], strict=True):
        print(f"{name:12} {where:7} {macs:>8,}   not counted: {', '.join(unsupported) or 'nothing'}")

whole = SIDE**2 * CHANNELS**2 * 9
assert found["convolution"] == [(whole, set()), (0, set())], found["convolution"]
assert found["linear layer"] == [(SIDE**2 * CHANNELS**2, set())] * 2, found["linear layer"]
PYTHON
