#!/usr/bin/env bash
# F.normalize gives NaN for a vector of zeros in float16, and zeros in every other number format.
#
# Version: torch 2.13.0, CPU.
# Expected: F.normalize divides by max(‖x‖, eps), which is there so that zeros stay zeros; eps is 1e-12 unless told.
# Seen: 1e-12 is no number of float16, so it becomes 0, and 0 / 0 is NaN; cosine_similarity, with 1e-8, does the same.
#   bfloat16 has such numbers and is right. Attention that normalises queries and keys (Swin v2, XCiT) meets zeros where
#   padding or masked tokens pass projections without a bias; one NaN in a key is a NaN in every token.
# What helps: eps=1e-6, or normalising in float32.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
import torch.nn.functional as F

print(f"torch {torch.__version__}")
for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
    zeros = torch.zeros(4, dtype=dtype)
    by_default = F.normalize(zeros, dim=0), F.cosine_similarity(zeros, torch.ones_like(zeros), dim=0)
    larger = F.normalize(zeros, dim=0, eps=1e-6)
    print(f"{dtype!s:14} normalize {by_default[0].tolist()}  cosine {by_default[1].item()}  eps=1e-6 {larger.tolist()}")
    assert all(bool(value.isnan().all()) == (dtype == torch.float16) for value in by_default)
    assert larger.tolist() == [0, 0, 0, 0]

tokens = torch.cat([torch.randn(6, 8), torch.zeros(1, 8)]).half()
queries = F.normalize(tokens, dim=-1)
attended = (queries @ queries.mT).softmax(-1) @ tokens
print(f"attention over 7 tokens, one of which is padding: {int(attended.isnan().any(-1).sum())} tokens are NaN")
assert attended.isnan().all()
PYTHON
