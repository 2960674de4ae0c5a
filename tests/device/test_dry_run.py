"""The GPU day's script stays in step with the project: its shortest stages run on a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STAGES = ("info", "table")

pytestmark = pytest.mark.slow


def test_its_stages_run_and_leave_what_they_promise(tmp_path: Path):
    environment = os.environ | {
        "DEVICE": "cpu", "TINY": "1", "PY": sys.executable, "ONLY": " ".join(STAGES),
        "OUT": str(tmp_path / "out"), "WORK": str(tmp_path / "work"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", HERE / "gpu_day.sh"], cwd=HERE.parents[1], env=environment, capture_output=True
    )
    stages = (tmp_path / "out/stages.txt").read_text()
    assert [line.split(" after")[0] for line in stages.splitlines()] == [f"{name}: exit 0" for name in STAGES]
    assert "table-iv-cuda\n   {'measured': 14}" in done.stdout.decode(errors="replace")
    assert (tmp_path / "out/gpu_day.tar.gz").stat().st_size > 5_000


def test_its_tests_are_those_that_want_a_gpu(tmp_path: Path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *pytest*) echo "$@";; *) exec {sys.executable} "$@";; esac\n')
    python.chmod(0o755)
    environment = os.environ | {
        "DEVICE": "cpu", "PY": str(python), "ONLY": "pytest",
        "OUT": str(tmp_path / "out"), "WORK": str(tmp_path / "work"),
    }  # fmt: skip
    root = HERE.parents[1]
    subprocess.run(["bash", HERE / "gpu_day.sh"], cwd=root, env=environment, check=True, capture_output=True)
    files = [word for word in (tmp_path / "work/pytest.txt").read_text().split() if word.endswith(".py")]
    marked = [
        file for file in (root / "tests").rglob("test_*.py") if "\n@pytest.mark.cuda\n" in file.read_text()
    ]
    assert len(marked) > 5
    assert sorted(files) == sorted(str(file.relative_to(root)) for file in marked)


@pytest.mark.parametrize("script", ["smoke", "micro"])
def test_its_python_files_import_what_there_is(script: str):
    code = f"import runpy; runpy.run_path({str(HERE / script) + '.py'!r}, run_name='dry')"
    environment = os.environ | {"DEVICE": "cpu", "TINY": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=HERE.parents[1], env=environment, check=True)


def test_its_summary_reads_what_runs_leave(tmp_path: Path):
    (tmp_path / "run").mkdir()
    row = {"role": "member", "outcome": "crashed", "reason": "bang"}
    (tmp_path / "run/records.jsonl").write_text(json.dumps(row))
    command = [sys.executable, str(HERE / "summary.py"), str(tmp_path)]
    said = subprocess.run(command, text=True, capture_output=True, check=True).stdout
    assert said.splitlines()[-2:] == ["   {'crashed': 1}", "   crashed: bang"]
