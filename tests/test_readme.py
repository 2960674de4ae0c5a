"""README holds: its example is a plugin, and every one of its commands does what it says."""

import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from attnbench import machine, runner, system
from attnbench.cli import session
from attnbench.measure import profile, spectrum
from attnbench.plan import Setup
from attnbench.protocol import QUICK
from attnbench.record import RECORDS
from attnbench.sweep import Block
from tests.conftest import Run
from tests.shards import Workers

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
BLOCKS = [content for language, content in FENCED.findall(TEXT) if not language]
IN_BLOCKS = "\n".join(BLOCKS).replace("\\\n", " ").splitlines()
IN_TEXT = re.findall(r"`(attnbench [^`]+)`", FENCED.sub("", TEXT))
STEPS = [step for line in [*IN_BLOCKS, *IN_TEXT] for step in re.split(r"&&|\|", " ".join(line.split()))]
COMMANDS = list(dict.fromkeys(step.strip() for step in STEPS if step.strip().startswith("attnbench ")))
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
KEPT = ROOT / "results" / "table-iv-cpu"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "my_attention.py"
    path.write_text(EXAMPLE, encoding="utf-8")
    return path


def test_the_example_keeps_the_contract(attnbench: Run, example: Path):
    done = attnbench("check", example, "--res", "14,3x2")
    assert done.status == 0
    assert "The contract is kept." in done.out


def test_the_example_is_listed_run_and_compared(attnbench: Run, example: Path, tmp_path: Path):
    listed = attnbench("list", "--plugin", example, "--format", "csv").out.splitlines()
    assert listed[-1].startswith("linear,linear,Linear,,2362368,481689600,")

    folder = tmp_path / "run"
    size = ("--res", "2", "--batch", "2", "--dim", "48", "--heads", "6", "--device", "cpu")
    effort = ("--quick", "--precision", "50%", "--threads", "1", "--max-seconds", "40")
    done = attnbench("run", "linear", "msa", "--plugin", example, *effort, *size, "--out", folder)
    assert done.status == 0, done.err
    assert re.search(r"│ Linear +│ +0\.01 ", done.out)

    compared = attnbench("compare", folder, "--plot")
    assert re.search(r"│ Linear +│.*\d \[", compared.out)
    assert (folder / "throughput.png").exists()


@pytest.fixture(scope="module")
def readers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as a reader of README has it, with the example's code, of now and of before."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "results", folder / "results")
    for name in ("attnbench", "tests"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("my_attention.py", "old/my_attention.py", "new/my_attention.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(EXAMPLE, encoding="utf-8")
    return folder


@pytest.fixture
def nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """`attnbench run` reads its options, plans its blocks, and finds that a kept run has them already.

    `doctor` has workers of no work, and `profile` and `spectrum` a few calls and maps.
    """

    def already_measured(
        screen: Console, blocks: Sequence[Block], setup: Setup, path: Path, command: object, *, fresh: bool
    ) -> bool:
        assert all(block.members for block in blocks)
        path.mkdir(parents=True, exist_ok=True)
        shutil.copy(KEPT / RECORDS, path)
        return True

    monkeypatch.setattr(session, "carry_out", already_measured)
    monkeypatch.setattr(machine, "require_device", lambda device: None)
    monkeypatch.setattr(runner, "facts_of_worker", Workers())
    monkeypatch.setattr(system, "physical_cores", lambda: 1)
    monkeypatch.setattr(profile, "PROFILED_S", 0)
    monkeypatch.setattr(profile, "LEAST_CALLS", profile.TURNS)
    monkeypatch.setattr(profile, "WARMUP", replace(QUICK, least_warmup_s=0, most_warmup_s=0))
    survey = spectrum.survey
    monkeypatch.setattr(
        spectrum, "survey", lambda *what, images, seed: survey(*what, images=min(images, 2), seed=seed)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_measured")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(
    attnbench: Run, readers_folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
):
    monkeypatch.chdir(readers_folder)
    done = attnbench(*shlex.split(command)[1:])
    assert done.status == 0, done.err


def test_readme_shows_a_command_for_every_task():
    assert {shlex.split(command)[1] for command in COMMANDS} >= {
        *("list", "flops", "run", "compare", "report", "claims", "check", "profile", "spectrum", "doctor")
    }
