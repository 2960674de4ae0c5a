#!/usr/bin/env bash
# blocked_autorange times on one thread, and gives one sample of a slow layer with a spread of 0 and no warning.
#
# Version: torch 2.13.0.
# Expected: torch.utils.benchmark.Timer times a call as the program around it runs, with torch's threads; and
#   blocked_autorange, which promises a median with a spread, repeats the call until there is one.
# Seen: num_threads is 1 unless told, whatever torch.set_num_threads said. Repeating ends after min_run_time of 0.2 s:
#   a call that takes longer, as attention on a large map or a model does, has one sample, a median of it, and an
#   interquartile range of 0, the look of a perfect measurement. has_warnings is False.
# What helps: num_threads=torch.get_num_threads(), and min_run_time of many calls.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import time

import torch
from torch.utils.benchmark import Timer

torch.set_num_threads(2)
threads = []
Timer("threads.append(torch.get_num_threads())", globals={"threads": threads, "torch": torch}).timeit(3)
slow = Timer("time.sleep(0.25)", globals={"time": time}).blocked_autorange()
patient = Timer("time.sleep(0.25)", globals={"time": time}).blocked_autorange(min_run_time=2)

print(f"torch {torch.__version__}, which has {torch.get_num_threads()} threads; inside the timer {set(threads)}")
for name, found in {"a call of 0.25 s": slow, "the same, min_run_time=2": patient}.items():
    print(f"{name}: {len(found.times)} samples, interquartile range {found.iqr}, warnings: {found.has_warnings}")
assert torch.get_num_threads() == 2 and set(threads) == {1}
assert (len(slow.times), slow.iqr, slow.has_warnings) == (1, 0, False)
assert len(patient.times) > 1 and patient.iqr > 0
PYTHON
