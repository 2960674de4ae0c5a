#!/usr/bin/env bash
# fvcore's count of an einsum has four digits, and half of what the einsum does where no index is summed.
#
# Versions: fvcore 0.1.5.post20221221, torch 2.13.0, numpy 2.4.6.
# Expected: an einsum counts its multiply-adds, and as many as the matmul that it equals. Where nothing is summed, as
#   in the outer products of keys and values, it counts one multiplication for each number that it makes.
# Seen: the count is read back from a text that numpy prints, in which it has four digits: the logits of 12 heads of
#   196 tokens count 29,505,000, those of the matmul 29,503,488; other sizes come out too small. An outer product
#   counts half. A sum of counts looks exact and no longer is, so no closed form agrees with it.
# What helps: write matmuls where counts are compared, or allow for four digits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile fvcore==0.1.5.post20221221 torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import logging
from importlib.metadata import version

import numpy
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

logging.disable(logging.WARNING)


class Layer(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, q):
        return self.call(q)


def logits(q):
    return torch.einsum("bhnd,bhmd->bhnm", q, q)


def product(q):
    return torch.matmul(q, q.mT)


def outer(q):
    return torch.einsum("bhnd,bhne->bhnde", q, q)


print(f"fvcore {version('fvcore')}, torch {torch.__version__}, numpy {numpy.__version__}")
cases = [
    ("logits by einsum", logits, (12, 196, 64), 12 * 196 * 196 * 64, 29_505_000),
    ("logits by matmul", product, (12, 196, 64), 12 * 196 * 196 * 64, 29_503_488),
    ("logits by einsum", logits, (4, 49, 16), 4 * 49 * 49 * 16, 153_650),
    ("logits by matmul", product, (4, 49, 16), 4 * 49 * 49 * 16, 153_664),
    ("outer products by einsum", outer, (4, 49, 16), 4 * 49 * 16 * 16, 25_090),
]
for name, call, shape, multiplications, counted in cases:
    seen = FlopCountAnalysis(Layer(call), torch.ones(1, *shape)).total()
    print(f"{name:24} {shape!s:13} {multiplications:>10,} done, {int(seen):>10,} counted")
    assert seen == counted, (name, seen, counted)
PYTHON
