#!/usr/bin/env bash
# More than two fifths of the attention weights of Swin's shifted layer are subnormal numbers in float32, in no other format.
#
# Version: transformers 4.57.1, torch 2.13.0, CPU.
# Expected: a mask of -100 forbids a pair: its weight after the softmax is zero, and the matmul with the values costs what
#   it costs without a mask.
# Seen: e^-100 is 3.8e-44, below float32's normal numbers and above its smallest. In a window that the shift has made of
#   four corners most pairs are masked, and over a 14×14 map 43 % of all weights are such numbers, which many CPUs
#   multiply many times as slowly. In float64 they are normal, in bfloat16 and float16 zero: the layer's cost hangs on
#   the format beyond its width, and a layer without a shift shows nothing of it.
# What helps: zero for weights below 1.2e-38 before the matmul (torch.nn.functional.threshold), which no digit of the
#   output shows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==4.57.1 torch==2.13.0 numpy==2.4.6
cd "$folder"
TRANSFORMERS_VERBOSITY=error venv/bin/python - <<'PYTHON'
import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode

PIXELS, WINDOW = 56, 7  # patches of 4 × 4 pixels: 14×14 tokens
FORMATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
CONFIGURATION = transformers.SwinConfig(
    image_size=PIXELS, embed_dim=96, depths=[2], num_heads=[3], window_size=WINDOW, attn_implementation="eager"
)


class Softmaxes(TorchDispatchMode):
    """Keeps what softmaxes gave."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        result = operator(*arguments, **(options or {}))
        if operator.overloadpacket is torch.ops.aten._softmax:
            self.weights.append(result)
        return result


def shares_of_subnormals(dtype):
    """Of the weights of a layer without a shift, and of one with a shift."""
    torch.manual_seed(0)
    model = transformers.SwinModel(CONFIGURATION).eval().to(dtype)
    with torch.no_grad(), Softmaxes() as seen:
        model(torch.randn(1, 3, PIXELS, PIXELS, dtype=dtype))
    smallest = torch.finfo(dtype).tiny
    return tuple(((0 < each) & (each < smallest)).double().mean().item() for each in seen.weights)


found = {str(dtype): shares_of_subnormals(dtype) for dtype in FORMATS}
print(f"transformers {transformers.__version__}, torch {torch.__version__}; subnormal weights without and with a shift")
for name, shares in found.items():
    print(f"{name:15}", *(f"{share:6.1%}" for share in shares))
plain, shifted = found.pop("torch.float32")
assert plain == 0
assert 0.42 < shifted < 0.44
assert not any(map(any, found.values()))
PYTHON
