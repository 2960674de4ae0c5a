#!/usr/bin/env bash
# torchinfo's mult-adds of a linear layer do not grow with the number of tokens; those of a 1×1 convolution do.
#
# Versions: torchinfo 1.8.0, torch 2.13.0.
# Expected: nn.Linear on N tokens takes N times the multiply-adds of one token, and as many as the 1×1 convolution
#   with the same weight.
# Seen: the linear layer counts weights and bias once an image, for 49 tokens as for 196; the convolution counts them
#   for every position. So an attention layer with linear projections looks 196 times as cheap on a map of 14×14 as
#   the same layer with 1×1 convolutions. nn.MultiheadAttention, whose weights are used and whose children are not
#   called, counts 0.
# What helps: count with a tool that looks at operators, not at modules.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torchinfo==1.8.0 torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
import torchinfo
from torch import nn

C = 64


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(C, 4, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


def mult_adds(layer, x):
    return torchinfo.summary(layer, input_data=x, verbose=0).total_mult_adds


linear, convolution = nn.Linear(C, C), nn.Conv1d(C, C, 1)
convolution.load_state_dict({"weight": linear.weight[..., None], "bias": linear.bias})
print(f"torchinfo {torchinfo.__version__}, torch {torch.__version__}; {C} channels")
for tokens in (49, 196):
    x = torch.randn(1, tokens, C)
    counts = mult_adds(linear, x), mult_adds(convolution, x.mT), mult_adds(SelfAttention(), x)
    print(f"{tokens:3} tokens: linear {counts[0]:,}, 1×1 convolution {counts[1]:,}, MultiheadAttention {counts[2]:,}")
    assert counts == (C * C + C, tokens * (C * C + C), 0)
    torch.testing.assert_close(linear(x), convolution(x.mT).mT)
PYTHON
