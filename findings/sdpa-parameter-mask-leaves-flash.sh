#!/usr/bin/env bash
# A mask that is an nn.Parameter takes scaled_dot_product_attention off its fused CPU kernel, under inference_mode too.
#
# Version: torch 2.13.0, CPU.
# Expected: under torch.no_grad() or torch.inference_mode() nothing asks for a gradient, so a learnt bias (a table of
#   relative positions, say) is a mask like any other and the flash kernel runs. Queries, keys and values that are
#   parameters do stay on it there.
# Seen: the mask's requires_grad flag alone decides, whatever the gradient mode. The parameter runs as separate products
#   and softmax, which write the logits to memory; the same numbers behind .detach() run fused.
# What helps: pass mask.detach() wherever no gradient is wanted.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
KINETO_LOG_LEVEL=99 venv/bin/python - <<'PYTHON'
import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import profile

FLASH = "aten::_scaled_dot_product_flash_attention_for_cpu"
MATH = "aten::_scaled_dot_product_attention_math"


def ran(q, k, v, mask):
    with profile() as seen:
        F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return {FLASH, MATH} & {event.name for event in seen.events()}


torch.manual_seed(0)
q, k, v = torch.randn(3, 2, 4, 49, 32)
learnt = nn.Parameter(torch.randn(1, 4, 49, 49))
parameters = [nn.Parameter(x) for x in (q, k, v)]

print(f"torch {torch.__version__}")
for mode in (torch.no_grad, torch.inference_mode):
    with mode():
        cases = {
            "mask is a parameter": ran(q, k, v, learnt),
            "the same mask, detached": ran(q, k, v, learnt.detach()),
            "q, k, v are parameters": ran(*parameters, learnt.detach()),
        }
        for case, names in cases.items():
            print(f"{mode.__name__:14} {case:24} {', '.join(names)}")
        assert list(cases.values()) == [{MATH}, {FLASH}, {FLASH}]
        same = [F.scaled_dot_product_attention(q, k, v, attn_mask=mask) for mask in (learnt, learnt.detach())]
        torch.testing.assert_close(*same)
PYTHON
