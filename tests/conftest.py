"""Fixtures that every test shares: a fixed seed, and commands as a shell would see them."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from attnbench.cli import main
from attnbench.machine import system
from attnbench.run import runner
from tests.in_process import facts_in_process

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FIRST = Path(__file__).parent / "measuring"
"""Its tests come before others, for who times looks for garbage in all that was there before."""


@dataclass(frozen=True)
class Outcome:
    """What a command left on the terminal, and its exit status."""

    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def attnbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `attnbench` with these arguments."""

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["attnbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        code = ended.value.code
        return Outcome(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


@pytest.fixture
def workers_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers measure in this process: where it matters what is measured, and not that it is apart."""
    monkeypatch.setattr(runner, "facts_of_worker", facts_in_process())


@pytest.fixture
def figures_unencoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn once, and their files stay empty: bitmaps and fonts take most of the time."""

    def saved(page: "Figure", path: Path, **_: object) -> None:
        if path.suffix == ".png":
            page.draw_without_rendering()
        path.touch()

    monkeypatch.setattr("attnbench.report.figure.page.Page.savefig", saved)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tree instead of the kernel's files."""
    monkeypatch.setattr(system, "ROOT", tmp_path)
    return tmp_path


def write(root: Path, files: dict[str, str]) -> None:
    """Put these texts where the kernel's files are found."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n", encoding="utf-8")


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever whoever starts the tests likes on a terminal."""
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--one-core", action="store_true", help="leave others to tests of another process")


@pytest.fixture(autouse=True)
def _one_core_each(request: pytest.FixtureRequest) -> None:
    """Tests beside tests of another process leave it a core."""
    if request.config.getoption("--one-core") or "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST not in item.path.parents)
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="torch sees no CUDA device"))
