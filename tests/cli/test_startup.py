"""Commands that need no torch do not wait for it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attnbench.records.record_file import append
from tests.fakes import block

HEAVY = ("torch", "torch._dynamo", "pandas", "matplotlib", "scipy", "scipy.stats", "fvcore", "jinja2")


def modules_after(*arguments: str, before: str = "") -> set[str]:
    """Which heavy modules a command has imported when it ends; `before` is run ahead of it."""
    code = (
        f"import sys; sys.argv = ['attnbench', *sys.argv[1:]]\n{before}\n"
        "from attnbench.cli import main\n"
        "try: main()\n"
        f"finally: print('imported:', *[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stderr.rpartition("imported:")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_and_versions_import_nothing_heavy(arguments: list[str]):
    assert modules_after(*arguments) == set()


def test_importing_attnbench_imports_nothing_heavy():
    code = f"import attnbench, sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


NO_WORKER = """
from attnbench.run import runner
def stop(*_, **__): sys.exit(0)
runner.facts_of_worker = stop
"""


@pytest.mark.parametrize(
    "words",
    [[], ["@modern"], ["h*", "m*"], ["hilo:alpha=0..1/0.5", "sra", "--baseline", "msa", "--res", "7,14"]],
)
def test_a_run_of_builtin_layers_leaves_torch_to_its_workers(tmp_path: Path, words: list[str]):
    command = ["run", *words, "--device", "cpu", "--out", str(tmp_path)]
    assert modules_after(*command, before=NO_WORKER) == set()


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch itself is asked for its devices")
def test_devices_that_cannot_be_there_are_known_without_torch(tmp_path: Path):
    assert modules_after("run", "--out", str(tmp_path), before=NO_WORKER) == set()


def test_compare_runs_without_torch(tmp_path: Path):
    append(tmp_path, block({"msa": [0.1] * 6, "hilo": [0.2] * 6}))
    assert "torch" not in modules_after("compare", str(tmp_path), "--plot", "--format", "json")
    assert (tmp_path / "throughput.png").exists()


def test_a_table_of_a_run_needs_nothing_heavy(tmp_path: Path):
    append(tmp_path, block({"msa": [0.1] * 6, "hilo": [0.2] * 6}))
    assert modules_after("compare", str(tmp_path)) == set()
    assert modules_after("compare", str(tmp_path), str(tmp_path)) == set()


def test_layers_are_counted_without_torchs_compiler_and_data_frames():
    plugin = Path(__file__).parents[1] / "identical.py"
    assert modules_after("list", "msa-again", "sra", "--plugin", str(plugin)) == {"torch", "fvcore"}


def test_layers_of_ours_have_closed_forms_and_need_no_counter():
    assert modules_after("list", "msa", "sra") == {"torch"}


def test_claims_are_judged_without_torch(tmp_path: Path):
    append(tmp_path, block({"msa": [0.1] * 6, "hilo": [0.2] * 6}))
    assert "torch" not in modules_after("claims", str(tmp_path))


@pytest.mark.parametrize("form", ["csv", "markdown", "latex", "json"])
def test_a_report_needs_nothing_heavy(tmp_path: Path, form: str):
    append(tmp_path, block({"msa": [0.1] * 6, "hilo": [0.2] * 6}))
    assert modules_after("report", str(tmp_path), "--format", form) == set()


def test_a_page_needs_nothing_heavy_but_its_templates(tmp_path: Path):
    append(tmp_path, block({"msa": [0.1] * 6, "hilo": [0.2] * 6}))
    assert modules_after("report", str(tmp_path), "--format", "html") == {"jinja2"}


def test_closed_forms_are_drawn_without_counting(tmp_path: Path):
    assert "fvcore" not in modules_after("flops", "msa", "--res", "7", "--plot", "--out", str(tmp_path))
    assert (tmp_path / "flops.png").exists()


def test_closed_forms_that_are_not_drawn_need_no_matplotlib(tmp_path: Path):
    assert modules_after("flops", "msa", "--res", "7", "--out", str(tmp_path)) <= {"torch"}
