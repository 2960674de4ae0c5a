#!/usr/bin/env bash
# The first operator inside any torch dispatch mode imports torch's compiler, which nobody asked for: torch 2.13.
#
# Version: torch 2.13.0, CPU.
# Expected: to count the multiply-adds of an eager layer, or to see its operators, imports what counts.
# Seen: FlopCounterMode is imported and entered without torch._dynamo; the first operator inside of it, a linear layer
#   of microseconds, imports torch._dynamo, sympy and several hundred modules more, which takes a hundred times as long
#   as the same layer counted a second time, and so does a mode of one's own that passes every operator through.
#   FakeTensorMode() does it when it is made. A process that times layers should do none of it before the first sample:
#   what the count is said to take is the import, and the process is another one afterwards.
# What helps: count in a process that times nothing. A mode of one's own whose class method _should_skip_dynamo returns
#   False imports nothing, at the price that the compiler may look into it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
cat > count.py <<'PYTHON'
import sys
import time

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode


class Through(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


class ThroughAlone(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


def is_loaded():
    return "torch._dynamo" in sys.modules


def seconds(mode):
    begun = time.process_time()
    with mode, torch.no_grad():
        layer(x)
    return time.process_time() - begun


layer, x = nn.Linear(8, 8), torch.ones(1, 49, 8)
layer(x)
mode = {
    "counter": lambda: FlopCounterMode(display=False),
    "mode of one's own": Through,
    "mode that says no": ThroughAlone,
}[sys.argv[1]]
before, modules = is_loaded(), len(sys.modules)
first = seconds(mode())
after, more = is_loaded(), len(sys.modules) - modules
second = seconds(mode())
print(f"{sys.argv[1]}: compiler loaded {before} -> {after}, {more} modules more; "
      f"first {first:.3f} s, second {second:.5f} s")
assert not before
if sys.argv[1] == "mode that says no":
    assert not after
else:
    assert after and more > 300 and first > 20 * second
PYTHON
echo "torch $(venv/bin/python -c 'import torch; print(torch.__version__)')"
for mode in "counter" "mode of one's own" "mode that says no"; do
  venv/bin/python -W ignore count.py "$mode"
done
venv/bin/python -W ignore - <<'PYTHON'
import sys

from torch._subclasses.fake_tensor import FakeTensorMode

before = "torch._dynamo" in sys.modules
FakeTensorMode()
after = "torch._dynamo" in sys.modules
print(f"FakeTensorMode(): compiler loaded {before} -> {after}")
assert (before, after) == (False, True)
PYTHON
