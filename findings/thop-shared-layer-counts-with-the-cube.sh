#!/usr/bin/env bash
# thop counts a layer that n blocks share n³ times, and its parameters n times.
#
# Versions: thop 0.1.1.post2209072238, torch 2.13.0.
# Expected: a layer that n blocks share (one projection, one table of positions, one attention for all stages) runs n
#   times and has its weights once: n times its multiply-adds, and the parameters of one.
# Seen: two blocks count 8 layers and three count 27. Each block hangs one more counter on the layer, each of its n
#   runs adds to all n counters, and the sum is added up once a block. Called n times by one block it counts n, as it
#   should.
# What helps: count one block, and multiply.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile thop==0.1.1.post2209072238 torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import thop
import torch
from torch import nn

N, C = 49, 64
ONE = N * C * C


def linear():
    return nn.Linear(C, C, bias=False)


def shared(blocks):
    """As many blocks as asked for, with one layer among them."""
    layer = linear()
    return nn.Sequential(*(nn.Sequential(layer) for _ in range(blocks)))


x = torch.randn(1, N, C)
print(f"thop {version('thop')}, torch {torch.__version__}; one layer is {ONE:,} multiply-adds, {C * C:,} parameters")
for blocks in (1, 2, 3):
    own = nn.Sequential(*(nn.Sequential(linear()) for _ in range(blocks)))
    own_macs, _ = thop.profile(own, (x,), verbose=False)
    model = shared(blocks)
    macs, parameters = thop.profile(model, (x,), verbose=False)
    print(f"{blocks} blocks: with own layers {own_macs / ONE:g} counted, with a shared one {macs / ONE:g}", end="; ")
    print(f"parameters of the shared one {int(parameters):,}")
    assert own_macs == blocks * ONE
    assert macs == blocks**3 * ONE
    assert parameters == blocks * C * C
    assert sum(parameter.numel() for parameter in model.parameters()) == C * C
layer = linear()
once_a_call = thop.profile(nn.Sequential(layer, layer), (x,), verbose=False)[0]
print(f"1 block that calls it twice: {once_a_call / ONE:g} layers counted")
assert once_a_call == 2 * ONE
PYTHON
