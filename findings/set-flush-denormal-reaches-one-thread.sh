#!/usr/bin/env bash
# torch.set_flush_denormal(True) flushes subnormal numbers in the thread that calls it; torch's other threads go on.
#
# Version: torch 2.13.0, CPU, x86.
# Expected: after a switch of the whole library, no operator gives a subnormal number, whichever thread computes it.
# Seen: of a product whose numbers are all subnormal, the calling thread's half is zero, and the other thread's half is
#   what it was, if that thread has been started before. The function returns True. With one thread all of it is zero.
#   So a layer whose softmax leaves weights of e^-100 stays slow on all cores but one.
# What helps: call it before anything is computed, because threads that are started later have what their parent has.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import sys

import numpy
import torch

NUMBERS = 2**22
when, threads, expected = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
tiny = torch.from_numpy(numpy.full(NUMBERS, 1e-39, dtype=numpy.float32))
torch.set_num_threads(threads)
if when == "late":
    assert (tiny * 1.0).all()  # which starts the threads
assert torch.set_flush_denormal(True)
zero = (tiny * 1.0 == 0).sum().item() / NUMBERS
print(f"torch {torch.__version__}, threads {threads}, switched on {when}: {zero:.0%} of the products are zero")
assert zero == expected
PYTHON
venv/bin/python ask.py late 2 0.5
venv/bin/python ask.py late 1 1
venv/bin/python ask.py early 2 1
