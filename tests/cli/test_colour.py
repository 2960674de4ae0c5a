"""Colours and control codes: where they are wanted, and nowhere else."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attnbench.cases.case import Block
from attnbench.cli.output import console, output
from attnbench.cli.progress import Progress
from attnbench.records.record_file import append
from attnbench.run.plan import Forecast
from tests.fakes import block
from tests.shards import CASES, PROTOCOL, warmed

CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
GREEN = "\x1b[32mfaster"
A_COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?[39][0-7]m")
PLAIN = {
    name: text for name, text in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
}


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """A command whose table has a verdict with a colour."""
    append(tmp_path, block({"msa": [0.4] * 12, "hilo": [0.2] * 12}))
    return [sys.executable, "-m", "attnbench", "compare", str(tmp_path)]


def on_terminal(command: list[str], **environment: str) -> str:
    """What a terminal receives of a command, and it alone."""
    ours, theirs = pty.openpty()
    settings = {**PLAIN, "TERM": "xterm-256color", **environment}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=settings) as process:
        os.close(theirs)
        received = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.returncode == 0
    return received.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 2**16)
    except OSError:  # the other end is closed
        return b""


def piped(command: list[str], **environment: str) -> str:
    done = subprocess.run(command, env={**PLAIN, **environment}, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_terminal_gets_colours(command: list[str]):
    assert GREEN in on_terminal(command)


def test_no_color_takes_them_away(command: list[str]):
    out = on_terminal(command, NO_COLOR="1")
    assert "faster" in out
    assert not A_COLOUR.search(out)


def test_a_dumb_terminal_and_a_pipe_get_letters_only(command: list[str]):
    for out in (on_terminal(command, TERM="dumb"), piped(command)):
        assert "faster" in out
        assert not CODE.search(out)


def test_force_color_reaches_a_pipe(command: list[str]):
    assert GREEN in piped(command, FORCE_COLOR="1")


def test_help_has_colours_on_a_terminal_only():
    command = [sys.executable, "-m", "attnbench", "run", "--help"]
    assert A_COLOUR.search(on_terminal(command))
    assert not CODE.search(piped(command))


def test_nothing_moves_in_a_pipe_even_with_forced_colours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Progress(console(), [Block(CASES)], PROTOCOL, [Forecast(60, 9)]) as progress:
        progress.watch(0, warmed(0))
    assert capsys.readouterr().out == "measuring cpu 2x2 batch 2 …\n"


def test_columns_set_the_width_of_what_is_no_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert console().width == 100
    monkeypatch.delenv("COLUMNS")
    assert console().width == 160


def test_what_has_happened_is_one_line_however_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "20")
    output().tell("written: a folder/of many words")
    assert capsys.readouterr().out == "written: a folder/of many words\n"
