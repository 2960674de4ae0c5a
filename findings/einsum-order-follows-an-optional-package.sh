#!/usr/bin/env bash
# One einsum is quadratic or linear in the number of tokens by whether another package happens to be installed.
#
# Versions: torch 2.13.0, opt_einsum 3.4.0.
# Expected: torch.einsum("bhnd,bhmd,bhme->bhne", q, k, v), linear attention in one line, does the same work wherever
#   the same torch runs it; the formula does not say in which order, so one would guess the cheap one, or at least
#   one and the same.
# Seen: torch does not depend on opt_einsum and takes its order if it can be imported, left to right if it cannot.
#   Left to right makes the N×N map that linear attention is there to avoid: 12 times the multiply-adds for 196 tokens
#   and heads of 16 channels, and N/D times in general. Installing something else changes FLOPs, time and memory of
#   code that nobody touched.
# What helps: two einsums of two operands each, or a look at torch.backends.opt_einsum.is_available().
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cat > "$folder/count.py" <<'PYTHON'
import torch
from torch.utils.flop_counter import FlopCounterMode

q, k, v = torch.ones(3, 1, 4, 196, 16)
with FlopCounterMode(display=False) as counter:
    torch.einsum("bhnd,bhmd,bhme->bhne", q, k, v)
print(counter.get_total_flops() // 2)
PYTHON
without=$("$folder/venv/bin/python" "$folder/count.py")
"$folder/venv/bin/pip" install --quiet --no-compile opt_einsum==3.4.0
with=$("$folder/venv/bin/python" "$folder/count.py")

"$folder/venv/bin/python" -c 'import torch; print(f"torch {torch.__version__}; 196 tokens, 4 heads of 16 channels")'
echo "without opt_einsum: $without multiply-adds"
echo "with opt_einsum:    $with multiply-adds"
[[ $without -eq $((2 * 4 * 196 * 196 * 16)) && $with -eq $((2 * 4 * 196 * 16 * 16)) ]]
