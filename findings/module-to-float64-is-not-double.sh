#!/usr/bin/env bash
# module.to(torch.float64) drops the imaginary part of a complex parameter; module.double() does not touch it.
#
# Version: torch 2.13.0.
# Expected: module.double() is short for module.to(torch.float64). For a module with a complex weight (a filter on
#   frequencies, as in global filter networks) one would guess complex128, or an error, from both.
# Seen: to(float64) makes the weight real, with a warning that a run prints once among others; to(float32) and
#   to(bfloat16) do so as well. double(), float(), half() and bfloat16() leave complex64 as it is, so that double()
#   does not make it more exact.
# What helps: keep such a weight as real pairs and call torch.view_as_complex in forward.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import warnings

import torch
from torch import nn


class Filter(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3 + 4j, 1 - 2j]))


conversions = {
    "to(torch.float64)": (lambda module: module.to(torch.float64), torch.float64),
    "double()": (lambda module: module.double(), torch.complex64),
    "to(torch.float32)": (lambda module: module.to(torch.float32), torch.float32),
    "float()": (lambda module: module.float(), torch.complex64),
    "to(torch.bfloat16)": (lambda module: module.to(torch.bfloat16), torch.bfloat16),
    "bfloat16()": (lambda module: module.bfloat16(), torch.complex64),
}
print(f"torch {torch.__version__}; weight {Filter().weight.tolist()}")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for name, (convert, dtype) in conversions.items():
        weight = convert(Filter()).weight
        print(f"{name:20} {weight.dtype!s:16} {weight.tolist()}")
        assert weight.dtype == dtype
        assert weight.tolist() == ([3 + 4j, 1 - 2j] if dtype.is_complex else [3, 1])
print(f"warnings in six conversions, three of which dropped something: {len(caught)}")
assert len(caught) == 1
PYTHON
