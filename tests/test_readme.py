"""README's example is a plugin that works as README says."""

import re
from pathlib import Path

import pytest

from tests.conftest import Run

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    (code,) = re.findall(
        r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    path = tmp_path / "my_attention.py"
    path.write_text(code, encoding="utf-8")
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
    effort = ("--quick", "--max-seconds", "2")
    done = attnbench("run", "linear", "msa", "--plugin", example, *effort, *size, "--out", folder)
    assert done.status == 0, done.err
    assert re.search(r"│ Linear +│ +0\.01 ", done.out)

    compared = attnbench("compare", folder, "--plot")
    assert re.search(r"│ Linear +│.*\d \[", compared.out)
    assert (folder / "throughput.png").exists()
