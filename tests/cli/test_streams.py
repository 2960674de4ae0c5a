"""What a shell sees of a command: one line for a mistake, exit statuses, versions."""

import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from attnbench import Geometry
from attnbench.measuring import contract
from attnbench.records.cost import CheckResult
from tests.conftest import Run


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compare", "--formt", "json"], "No such option: --formt (Possible options: --format"),
        (["compare", "--format", "xml"], "'--format': 'xml' is not one of 'table', 'csv', 'json'."),
        (["doctor", "--format", "csv"], "--format is 'csv'; it can be table, json."),
        (["comapre"], "No such command 'comapre'. Did you mean 'compare'?"),
        (["profile"], "Missing argument 'MECHANISM'."),
        (["doctor", "--threads", "0"], "Invalid value for '--threads'"),
        (["run", "--batch"], "Option '--batch' requires an argument."),
    ],
)
def test_a_mistake_in_the_call_is_one_line_on_standard_error(attnbench: Run, arguments: list[str], says: str):
    done = attnbench(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert says in done.err


def test_what_a_plugin_says_in_several_lines_is_told_in_one(attnbench: Run, tmp_path: Path):
    plugin = tmp_path / "mine.py"
    plugin.write_text("raise RuntimeError('one\\ntwo')")
    done = attnbench("list", "--plugin", plugin)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "RuntimeError: one two (mine.py, line 1)" in done.err


def test_an_interrupt_is_status_130_and_no_traceback(attnbench: Run, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(contract, "examine", interrupted)
    done = attnbench("check", "msa")
    assert (done.status, done.err) == (130, "")


def test_a_bug_keeps_its_traceback_and_has_a_status_of_its_own(
    attnbench: Run, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a \x1b[31mbug")

    monkeypatch.setattr(contract, "examine", broken)
    done = attnbench("check", "msa")
    assert done.status == 70
    assert "in broken\n" in done.err
    assert "ZeroDivisionError: a \ufffd[31mbug" in done.err
    assert done.err.endswith("Error: This is a fault of attnbench itself; what was measured is kept.\n")


def test_a_contract_that_is_broken_has_another_status(attnbench: Run, monkeypatch: pytest.MonkeyPatch):
    broken = CheckResult("is it kind?", Geometry(1, 1, 1, 1), passed=False)
    monkeypatch.setattr(contract, "examine", lambda *_: [broken])
    assert attnbench("check", "msa").status == 1


def test_what_a_terminal_would_obey_is_seen_in_a_mistake(attnbench: Run):
    assert "There is no run in \ufffd[2Jmine\ufffd: it" in attnbench("compare", "\x1b[2Jmine\u202e").err


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_versions_are_those_that_are_installed(attnbench: Run, option: str):
    expected = (
        f"attnbench {version('attnbench')}, Python {platform.python_version()}, torch {version('torch')}\n"
    )
    assert attnbench(option).out == expected
