"""The GPU day's script stays in step with the project: its shortest stages run on a CPU."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STAGES = ("info", "table", "pytest")

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
    assert " passed" in (tmp_path / "work/pytest.txt").read_text()
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
    begun = '{"role": "mem'  # the last line of a stage that was cut off
    (tmp_path / "run/records.jsonl").write_text(f"{json.dumps(row)}\n{begun}")
    (tmp_path / "micro.jsonl").write_text(begun)
    command = [sys.executable, str(HERE / "summary.py"), str(tmp_path)]
    said = subprocess.run(command, text=True, capture_output=True, check=True).stdout
    assert said.splitlines()[-2:] == ["   {'crashed': 1}", "   crashed: bang"]


def test_it_is_prepared_from_a_worktree_too_and_where_nothing_is_downloaded(tmp_path: Path):
    """A worktree's `.git` is a file."""
    git = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
    for words in (["init", "-q", "."], ["commit", "-q", "--allow-empty", "-m", "."]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    subprocess.run([*git, "worktree", "add", "-q", "tree"], cwd=tmp_path, check=True)
    stub = tmp_path / "bin/python3"  # in place of pip
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    stub.chmod(0o755)
    environment = os.environ | {"PATH": f"{stub.parent}:{os.environ['PATH']}"}
    tree = tmp_path / "tree"
    subprocess.run(["bash", HERE / "prepare"], cwd=tree, env=environment, check=True)
    assert (tree / ".gpu/gpu_day.sh").read_text() == (HERE / "gpu_day.sh").read_text()
    seen = subprocess.run(["git", "status", "--short"], cwd=tree, capture_output=True, check=True)
    assert seen.stdout == b""
    assert "nvidia-ml-py" in (tmp_path / "asked").read_text().split()  # or no energy is measured


def test_what_the_machine_lacks_is_laid_out_from_wheels(tmp_path: Path):
    """A Python that sees no packages lacks them all."""
    wheels, folder = tmp_path / "whl", tmp_path / "site"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "nvidia_ml_py-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("pynvml.py", "")
    subprocess.run(
        [sys.executable, "-I", "-S", HERE / "layout.py", folder, wheels, HERE.parents[1]], check=True
    )
    assert (folder / "pynvml.py").exists()
    assert "attnbench = attnbench" in next(folder.glob("*.dist-info/entry_points.txt")).read_text()
