#!/bin/bash
# What a borrowed GPU is asked, most valuable first. From the repository's root on the GPU machine:
#     bash .gpu/gpu_day.sh              (again on the same warm machine: goes on with what is not done)
# OUT      what comes back: gpu_day.tar.gz, summary.txt, stages.txt
# LIMIT_S  seconds that this call may take (530); ONLY="smoke table" takes these stages alone
# DEVICE=cpu TINY=1 PY=... is a dry run
set -u
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
ROOT=$PWD
export DEVICE=${DEVICE:-cuda} TINY=${TINY:-}
OUT=${OUT:-/tmp/gpuday-out} WORK=${WORK:-/tmp/gpuday} LIMIT_S=${LIMIT_S:-530} PY=${PY:-python3} ONLY=${ONLY:-}
BEGAN=$SECONDS
mkdir -p "$OUT" "$WORK" "$WORK.site"
$PY "$HERE/layout.py" "$WORK.site" "$HERE/whl" "$ROOT" || exit 1
export PYTHONPATH="$ROOT:$WORK.site" PYTHONUNBUFFERED=1 COLUMNS=150 NO_COLOR=1
A="$PY -m attnbench"
if [ -n "$TINY" ]; then
  SIZE="--dim 96 --heads 6 --batch 2 --res 7 --sessions 1" SWEEP="--dim 96 --heads 6 --batch 2 --res 4,5" S=1.5 L=3 DTYPES=float32 WAYS=""
else
  SIZE="" SWEEP="--res 14,28,56,112 --batch 8" S=20 L=90 DTYPES=float32,tf32,bfloat16 WAYS="--cuda-graph off,on"
fi

pack() {
  tar -C "$WORK" --exclude='done-*' --exclude=trace.json -czf "$WORK.tgz" . && mv -f "$WORK.tgz" "$OUT/gpu_day.tar.gz"
  cp -f "$WORK/stages.txt" "$OUT/" 2>/dev/null
}

stage() { # name, most seconds, least seconds it is worth, command
  local name=$1 most=$2 least=$3 began=$SECONDS left=$((LIMIT_S - SECONDS + BEGAN)) rc
  shift 3
  if [ -e "$WORK/done-$name" ] || { [ -n "$ONLY" ] && [[ " $ONLY " != *" $name "* ]]; }; then return; fi
  if [ $left -lt "$least" ]; then echo "$name: not begun, $left s left" | tee -a "$WORK/stages.txt"; return; fi
  if [ -n "$TINY" ] || [ "$most" -gt $left ]; then most=$left; fi
  (cd "$ROOT" && timeout -s INT -k 15 "$most" "$@") > "$WORK/$name.txt" 2>&1
  rc=$?
  touch "$WORK/done-$name"
  echo "$name: exit $rc after $((SECONDS - began)) s, at $((SECONDS - BEGAN)) s" | tee -a "$WORK/stages.txt"
  pack
}

info() {
  nvidia-smi
  nvidia-smi --query-gpu=driver_version,power.limit,ecc.mode.current,clocks.max.sm,clocks.sm,clocks_throttle_reasons.active --format=csv
  nvidia-smi --help-query-gpu | grep -o '"clocks_[a-z_.]*' | tr '\n' ' '
  nvidia-smi --query-gpu=clocks_event_reasons.active,clocks_event_reasons_counters.sw_power_cap --format=csv
  $PY -c "
import torch, sys; print(sys.version, torch.__version__, torch.version.cuda, torch.backends.cudnn.version())
from attnbench.machine.devices import device_of; from attnbench.machine.fingerprint import inspect_machine
import time; t = time.time(); print(device_of('$DEVICE').state(), 'took', time.time() - t); print(inspect_machine())"
  which gcc cc nvcc
}
export -f info; export PY A

profiles() {
  for one in hilo msa dat; do
    $A profile $one --device "$DEVICE" ${TINY:+--dim 96 --heads 6 --batch 2} --format json --out "$WORK/profile-$one" > "$WORK/profile-$one.json"
    $A profile $one --device "$DEVICE" ${TINY:+--dim 96 --heads 6 --batch 2} --dtype bfloat16 --kernel fused --out "$WORK/profile-$one-bf16"
  done
}
export -f profiles; export WORK

TESTS=$(cd "$ROOT" && grep -rl --include='test_*.py' '^@pytest.mark.cuda' tests | sort | tr '\n' ' ')
PYTEST="env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $PY -m pytest -p no:cacheprovider -q -rfE --tb=line --continue-on-collection-errors $TESTS"
RUN="$A run --device $DEVICE $SIZE"

stage info 60 5 bash -c info
if [ -n "$TINY" ]; then stage pytest 200 30 $PYTEST -m "not slow" -k "clock or overhead"
else stage pytest 80 25 $PYTEST -m cuda -k "not compiled"; fi
stage table 190 70 $RUN --dtype "$DTYPES" --max-seconds $L --out "$WORK/table-iv-cuda"
stage energy 80 40 $RUN --dtype tf32,bfloat16 --energy --max-seconds 12 --out "$WORK/energy-cuda"
stage micro 40 15 $PY "$HERE/micro.py" "$WORK/micro.jsonl"
stage profile 70 25 bash -c profiles
stage graph 50 20 $PY "$HERE/smoke.py" graph "$WORK/graph.jsonl"
stage kernels 130 50 $RUN --kernel explicit,fused --dtype bfloat16 $WAYS --quick --max-seconds $S --out "$WORK/kernels-cuda"
stage plain 100 40 $RUN --plugin tests/plain --kernel explicit,fused --dtype bfloat16 --quick --max-seconds $S \
  --out "$WORK/against-plain-cuda"
stage compile 150 60 $A run msa hilo sra local-window van hornet --device "$DEVICE" $SIZE --dtype bfloat16 --kernel fused \
  --compile off,default --quick --max-seconds $L --timeout 60 --out "$WORK/compiled-cuda"
stage smoke 85 30 $PY "$HERE/smoke.py" eager "$WORK/smoke.jsonl"
stage sweep 150 50 $A run --device "$DEVICE" $SWEEP --quick --max-seconds 8 --out "$WORK/scaling-cuda"
stage training 150 50 $A run --device "$DEVICE" $SWEEP --mode training --quick --max-seconds 8 --out "$WORK/scaling-training-cuda"
stage doctor 40 15 $A doctor --device "$DEVICE" --dtype bfloat16
[ -z "$TINY" ] && stage pytest2 60 30 $PYTEST -m cuda -k "compiled and (msa or van)"

{
  cat "$WORK/stages.txt"
  for name in pytest pytest2; do grep -hE "^(FAILED|ERROR|E  )|passed|failed" "$WORK/$name.txt" 2>/dev/null | cut -c1-170 | head -20; done
  grep -h "outside" "$WORK/profile.txt" 2>/dev/null
  $PY "$HERE/summary.py" "$WORK"
} > "$OUT/summary.txt" 2>&1
pack
grep -h "multiply-adds/s\|GB/s" "$WORK/doctor.txt" 2>/dev/null
sed -n '/Mechanism/,/^ *$/p' "$WORK/table.txt" 2>/dev/null | cut -c1-150 | head -40
head -c 8500 "$OUT/summary.txt"
