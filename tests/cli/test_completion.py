"""What a shell offers after TAB."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.cases.declared import backbones, builtin, is_builtin
from attnbench.cases.registry import discover
from attnbench.cli.completion import among, joined, mechanisms
from tests.conftest import Run

Offered = Callable[..., list[str]]

SLOW_TO_LOAD = {"torch", "numpy", "pandas", "scipy", "matplotlib", "fvcore"}  # 0.1 s to several seconds each
PROCESS = """
import sys
from attnbench.cli import main
try: main()
finally: print(*sys.modules, file=sys.stderr)
"""
SCRIPT = """
eval "$(_ATTNBENCH_COMPLETE=source_bash attnbench)"
COMP_WORDS=({words}); COMP_CWORD={at}
_attnbench_completion attnbench
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def offered(attnbench: Run, monkeypatch: pytest.MonkeyPatch) -> Offered:
    """What bash is told after these words, of which the last may have been begun."""

    def ask(*words: str) -> list[str]:
        monkeypatch.setenv("_ATTNBENCH_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(("attnbench", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        done = attnbench()
        assert (done.status, done.err) == (0, "")
        return done.out.split()

    return ask


def names(incomplete: str) -> list[str]:
    return [name for name, _ in mechanisms(incomplete)]


def test_the_files_of_mechanisms_declare_what_the_registry_finds():
    assert {name: (found.title, found.settings, found.family) for name, found in builtin().items()} == {
        name: (found.title, found.settings, found.family) for name, found in discover().items()
    }


def test_names_come_in_the_papers_order_with_their_titles():
    assert mechanisms("")[0] == ("msa", "MSA")
    assert names("")[13] == "hilo"
    assert len(names("")) == len(builtin()) + len(backbones())


def test_a_backbone_comes_alone_and_after_a_slash_what_may_fill_it():
    assert set(backbones()) == discover().backbones.keys()
    assert names("litv2-") == ["litv2-b", "litv2-m", "litv2-s"]
    assert names("litv2-s/hi") == ["litv2-s/hilo"]
    assert names("nothing/hi") == []


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [("hilo", True), ("mine", False), ("litv2-s", True), ("litv2-s/hilo", True), ("litv2-s/mine", False),
     ("mine/hilo", False), ("timm/vit", False)],
)  # fmt: skip
def test_what_is_built_in_is_built_in_as_a_whole(name: str, is_ours: bool):
    assert is_builtin(name) == is_ours


def test_a_name_that_is_clear_comes_with_its_settings():
    assert names("hil") == ["hilo", "hilo:alpha=", "hilo:window=", "hilo:pooled_queries="]
    assert names("h") == ["hornet", "hilo"]
    assert names("van") == ["van"]
    assert names("nothing") == []


def test_a_setting_comes_with_its_default_until_it_is_there():
    assert names("hilo:") == [
        "hilo:alpha=", "hilo:alpha=0.9", "hilo:window=", "hilo:window=2",
        "hilo:pooled_queries=", "hilo:pooled_queries=False",
    ]  # fmt: skip
    assert "hilo:alpha=" not in names("hilo:alpha=")
    assert names("hilo:alpha=0.5,")[:2] == ["hilo:alpha=0.5,window=", "hilo:alpha=0.5,window=2"]
    assert names("hlio:") == []


def test_items_of_a_list_are_offered_once():
    assert among("fused", "flash")("fl") == ["fused", "flash"]
    assert among("fused", "flash")("flash,f") == ["flash,fused"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["comp"], ["compare"]),
        (["run", "lo"], ["local-window", "local-window:window=", "local-window:shift="]),
        (["check", "xc"], ["xca"]),
        (["profile", "va"], ["van"]),
        (["run", "--baseline", "xc"], ["xca"]),
        (["run", "msa", "--device", "cpu,"], ["cpu,cuda", "cpu,mps", "cpu,xpu"]),
        (["run", "--dtype", "b"], ["bfloat16"]),
        (["run", "--kernel", "explicit,fu"], ["explicit,fused"]),
        (["run", "--compile", "r"], ["reduce-overhead"]),
        (["run", "--mode", ""], ["inference", "training"]),
        (["run", "--allocator", "s"], ["system"]),
        (["list", "--format", ""], ["table", "csv", "json"]),
        (["doctor", "--format", ""], ["table", "json"]),
        (["run", "--max"], ["--max-seconds"]),
        (["claims", "--format", "j"], ["json"]),
        (["run", "--out", ""], []),
    ],
)
def test_commands_options_and_their_values_are_offered(
    offered: Offered, words: list[str], expected: list[str]
):
    assert offered(*words) == expected


def test_the_folders_of_runs_are_offered_and_other_paths_left_to_the_shell(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for folder in ("results/new", "results/old", "results/flops", "elsewhere/run"):
        Path(folder).mkdir(parents=True)
    for folder in ("results/new", "results/old", "elsewhere/run"):
        (Path(folder) / "records.jsonl").touch()
    assert offered("compare", "") == ["results/new", "results/old"]
    assert offered("compare", "results/new", "results/o") == ["results/old"]
    assert offered("compare", "--results", "elsewhere", "") == ["elsewhere/run"]
    assert offered("compare", "else") == []


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["run", "hilo", ":", "al"], ["alpha=", "alpha=0.9"]),
        (["run", "van", ":"], []),
        (["run", "sra", ":"], ["reduction=", "reduction=2"]),
        (["run", "hilo", ":", "alpha", "="], ["0.9"]),
        (["run", "hilo", ":", "alpha", "=", "0.5,w"], ["0.5,window=", "0.5,window=2"]),
        (["run", "msa", "hilo", ":", "alpha", "=", "0.5", "xc"], ["xca"]),
        (["run", "--kernel", "=", "fu"], ["fused"]),
    ],
)
def test_a_mechanism_that_bash_cut_into_pieces_is_completed_by_what_its_last_piece_lacks(
    offered: Offered, pieces: list[str], expected: list[str]
):
    assert offered(*pieces) == expected


def test_sets_are_offered_after_their_sign(offered: Offered):
    assert offered("run", "@li") == ["@linear"]
    assert {"@table-iv", "@all", "@windows", "@state-space"} <= set(offered("run", "@"))


def test_a_word_that_is_new_is_not_joined_to_a_break_before_it():
    assert joined(["attnbench", "run", "hilo", ":", ""], 4) == (["attnbench", "run", "hilo:", ""], 3)
    assert joined(["attnbench", "run", "a", "=", "b", "c"], 5) == (["attnbench", "run", "a=b", "c"], 3)
    assert joined(["attnbench", "run"], 2) == (["attnbench", "run"], 2)


@pytest.mark.parametrize(
    ("shell", "question", "answer"),
    [
        ("bash", {"COMP_WORDS": "attnbench list hi", "COMP_CWORD": "2"}, "hilo\nhilo:alpha=\nhilo:window="),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "attnbench list xc"}, '"xca":"XCA"'),
        (
            "fish",
            {"_TYPER_COMPLETE_ARGS": "attnbench list xc", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
            "xca\tXCA",
        ),
    ],
)
def test_an_answer_waits_for_no_library_that_is_slow_to_load(
    shell: str, question: dict[str, str], answer: str
):
    environment = {**os.environ, "_ATTNBENCH_COMPLETE": f"complete_{shell}", **question}
    command = [sys.executable, "-c", PROCESS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert answer in done.stdout
    assert not SLOW_TO_LOAD & set(done.stderr.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str):
    environment = {**os.environ, "_ATTNBENCH_COMPLETE": f"source_{shell}"}
    done = subprocess.run(
        [sys.executable, "-m", "attnbench"], env=environment, capture_output=True, text=True, check=True
    )
    assert f"_ATTNBENCH_COMPLETE=complete_{shell}" in done.stdout


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_replaces_the_piece_under_the_cursor(tmp_path: Path):
    program = tmp_path / "attnbench"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m attnbench "$@"\n')
    program.chmod(0o755)
    script = SCRIPT.format(words="attnbench run hilo : alpha = 0.5,w", at=6)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.5,window=", "0.5,window=2"]
