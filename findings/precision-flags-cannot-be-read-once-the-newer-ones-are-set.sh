#!/usr/bin/env bash
# Who says in torch's newer way how float32 is multiplied makes reading the older flags raise, in code of others.
#
# Version: torch 2.13.0, CPU.
# Expected: fp32_precision and allow_tf32 are two names of a setting; whoever reads either is told what holds.
# Seen: after torch.backends.cuda.matmul.fp32_precision = "tf32", one documented line, reading
#   torch.backends.cuda.matmul.allow_tf32 raises RuntimeError, and so does torch.get_float32_matmul_precision(). After
#   cudnn.conv.fp32_precision = "ieee" entering torch.backends.cudnn.flags(enabled=True) raises, which says nothing of
#   precision: it saves the older flag first. "ieee" for products, or "tf32" for convolutions, raise nothing: they are
#   what the older flags say already, so that it depends on the value whether the other code still works. None of it
#   needs a GPU. What a harness reads to restore it, or to write it into a record, ends the harness.
# What helps: to write an older flag makes it readable again (it sets the newer one too); to read the newer ones alone,
#   where torch has them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
cat > flags.py <<'PYTHON'
import sys
import warnings

import torch

warnings.simplefilter("ignore")
matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn


def cudnn_flags():
    with cudnn.flags(enabled=True):
        return "entered"


def told(read):
    try:
        return str(read())
    except RuntimeError:
        return "RuntimeError"


def all_told():
    reads = (lambda: matmul.allow_tf32, torch.get_float32_matmul_precision, cudnn_flags)
    return " ".join(map(told, reads))


if sys.argv[1] == "products":
    matmul.fp32_precision = sys.argv[2]
elif sys.argv[1] == "convolutions":
    cudnn.conv.fp32_precision = sys.argv[2]
print(all_told())
if sys.argv[1] == "products":
    matmul.allow_tf32 = False
    print(all_told())
PYTHON
flags() { "$folder/venv/bin/python" flags.py "$@"; }

seen=$(
  echo "nothing set: $(flags nothing -)"
  echo "products tf32: $(flags products tf32 | paste -sd ';')"
  echo "products ieee: $(flags products ieee | paste -sd ';')"
  echo "convolutions tf32: $(flags convolutions tf32)"
  echo "convolutions ieee: $(flags convolutions ieee)"
)
echo "$seen"
expected="nothing set: False highest entered
products tf32: RuntimeError RuntimeError entered;False highest entered
products ieee: False highest entered;False highest entered
convolutions tf32: False highest entered
convolutions ieee: False highest RuntimeError"
[[ $seen == "$expected" ]]
