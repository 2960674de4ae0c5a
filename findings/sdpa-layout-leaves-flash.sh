#!/usr/bin/env bash
# scaled_dot_product_attention leaves its fused CPU kernel for a mask [heads, N, N] and for a transposed query.
#
# Version: torch 2.13.0, CPU.
# Expected: a mask is documented to broadcast to the logits, so one of [heads, N, N] does what [1, heads, N, N] does;
#   and a query that a convolution made, [B, heads, D, N] seen as [B, heads, N, D], is at worst copied once.
# Seen: masks of two and of four dimensions run fused and the one of three does not, nor does any of q, k and v whose
#   last stride is not 1, nor q, k, v of three dimensions. Results are the same; only the kernel is another one, and
#   nothing says so.
# What helps: mask[None], x.contiguous(), x[:, None].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
KINETO_LOG_LEVEL=99 venv/bin/python - <<'PYTHON'
import torch
import torch.nn.functional as F
from torch.profiler import profile

FLASH = "aten::_scaled_dot_product_flash_attention_for_cpu"
MATH = "aten::_scaled_dot_product_attention_math"


def ran(q, k, v, mask=None):
    with profile() as seen:
        F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return {FLASH, MATH} & {event.name for event in seen.events()}


torch.manual_seed(0)
q, k, v = torch.randn(3, 2, 4, 49, 32)
mask = torch.randn(4, 49, 49)


def as_image(x):
    """The same numbers, stored channel by channel, as the output of a convolution is."""
    return x.mT.contiguous().mT


cases = {
    "mask [N, N]": (ran(q, k, v, mask[0]), FLASH),
    "mask [1, heads, N, N]": (ran(q, k, v, mask[None]), FLASH),
    "mask [heads, N, N]": (ran(q, k, v, mask), MATH),
    "q transposed": (ran(as_image(q), k, v), MATH),
    "k transposed": (ran(q, as_image(k), v), MATH),
    "v transposed": (ran(q, k, as_image(v)), MATH),
    "q, k, v [B·heads, 1, N, D]": (ran(*(x.flatten(0, 1)[:, None] for x in (q, k, v))), FLASH),
    "q, k, v [B·heads, N, D]": (ran(*(x.flatten(0, 1) for x in (q, k, v))), MATH),
}
print(f"torch {torch.__version__}")
for case, (names, _) in cases.items():
    print(f"{case:28} {', '.join(names)}")
assert all(names == {expected} for names, expected in cases.values())
torch.testing.assert_close(
    F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
    F.scaled_dot_product_attention(q, k, v, attn_mask=mask[None]),
)
PYTHON
