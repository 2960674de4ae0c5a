#!/usr/bin/env bash
# A compiled layer has code of its own for the first size alone; the second makes the next graph one for all sizes.
#
# Version: torch 2.13.0, CPU, torch.compile with its defaults.
# Expected: torch.compile(layer) called at 7×7, 14×14, 28×28 and 56×56 tokens has four graphs, each with its sizes as
#   constants; so a sweep over sizes in one process times each size's own code.
# Seen: two graphs. The first has 49 tokens as a constant; the second has a symbol for the number of tokens and serves
#   all other sizes. Which size gets which depends on the order of the sweep: the other way round, 3,136 tokens have the
#   constant, and 49 the symbol. What a size reads in a sweep is therefore not what it reads alone.
# What helps: a process, or torch.compiler.reset(), for each size; or dynamic=False, which compiles each size anew.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from torch import nn

SIZES = [side**2 for side in (7, 14, 28, 56)]


def tokens_of_graphs(sizes, **options):
    """The number of tokens in each graph that a sweep compiles, as the graph has it: a number or a symbol."""
    seen = []

    def backend(graph, inputs):
        values = [node.meta["example_value"] for node in graph.graph.nodes if node.op == "placeholder"]
        (tokens,) = [value for value in values if isinstance(value, torch.Tensor) and value.dim() == 3]
        seen.append("symbol" if isinstance(tokens.shape[1], torch.SymInt) else tokens.shape[1])
        return graph.forward

    torch.compiler.reset()
    layer = torch.compile(nn.Linear(8, 8), backend=backend, **options)
    with torch.no_grad():
        for size in sizes:
            layer(torch.randn(1, size, 8))
    return seen


up, down, fixed = tokens_of_graphs(SIZES), tokens_of_graphs(SIZES[::-1]), tokens_of_graphs(SIZES, dynamic=False)
print(f"torch {torch.__version__}; {SIZES} tokens")
print(f"graphs of a sweep: {up}; of the same sweep from large to small: {down}; with dynamic=False: {fixed}")
assert up == [49, "symbol"]
assert down == [3136, "symbol"]
assert fixed == SIZES
PYTHON
