#!/usr/bin/env bash
# Counting a compiled layer once with FlopCounterMode makes it eager for the rest of the process, in torch 2.13.
#
# Version: torch 2.13.0, CPU. With torch 2.14.1 it is compiled again after the count.
# Expected: a compiled layer may be counted between two timings; the counter's mode ends with its block.
# Seen: inside the block the eager code runs, which counts right. After it the compiled code is never called again, and
#   none is made for other layers of its class either: no message, the same output. A benchmark that counts first and
#   times then compares eager with eager. Any torch dispatch mode does it; torch.compiler.reset() undoes it.
# What helps: count the layer that is not compiled, or in another process.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

TOKENS, CHANNELS = 49, 8
calls = []


def backend(graph, inputs):
    def compiled(*arguments):
        calls.append(graph)
        return graph.forward(*arguments)

    return compiled


def calls_of_compiled_code(layer):
    before = len(calls)
    layer(x)
    return len(calls) - before


def compiled_layer():
    return torch.compile(nn.Linear(CHANNELS, CHANNELS), backend=backend)


x = torch.randn(1, TOKENS, CHANNELS)
with torch.no_grad():
    layer = compiled_layer()
    found = {"before the count": calls_of_compiled_code(layer)}
    with FlopCounterMode(display=False) as counter:
        found["in it"] = calls_of_compiled_code(layer)
    found["after it"] = calls_of_compiled_code(layer)
    found["of another layer of the class"] = calls_of_compiled_code(compiled_layer())
    torch.compiler.reset()
    found["after torch.compiler.reset()"] = calls_of_compiled_code(layer)

print(f"torch {torch.__version__}; calls of compiled code: {found}")
print(f"counted: {counter.get_total_flops() // 2} multiply-adds of {TOKENS * CHANNELS**2}")
assert list(found.values()) == [1, 0, 0, 0, 1]
assert counter.get_total_flops() // 2 == TOKENS * CHANNELS**2
PYTHON
