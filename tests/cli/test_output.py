"""What reaches a terminal: texts are seen, and only what colours and moves is obeyed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnbench.cli.output import console, output, show
from attnbench.records.record_file import append
from attnbench.report.terminal.grid import Grid, GridColumn
from tests.cli.test_colour import on_terminal
from tests.fakes import block

HOSTILE = "\x1b[2J\x9b\u202e"
SEEN = "\ufffd[2J\ufffd\ufffd"


def test_a_hostile_title_is_seen_wherever_it_is_printed(capsys: pytest.CaptureFixture[str]):
    console().print(Grid([GridColumn(HOSTILE, [HOSTILE])], HOSTILE, HOSTILE))
    here = output()
    here.note([HOSTILE])
    here.tell(HOSTILE)
    text = capsys.readouterr().out
    assert text.count(SEEN) == 6
    assert not set(text) & set(HOSTILE) - set("[2J")


def test_colours_stay(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("FORCE_COLOR", "1")
    console().print(f"[red]a{HOSTILE}[/]")
    assert capsys.readouterr().out.startswith(f"\x1b[31ma{SEEN}\x1b[0m")


def test_data_is_as_it_is_in_a_pipe_and_seen_at_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    show(f"{HOSTILE}\n")
    assert capsys.readouterr().out == f"{HOSTILE}\n"
    append(tmp_path, block({"msa": [0.4] * 6}, title=f"MSA{HOSTILE}"))
    command = [sys.executable, "-m", "attnbench", "compare", str(tmp_path), "--format", "csv"]
    assert f",MSA{SEEN}," in on_terminal(command)
    assert f",MSA{HOSTILE},".encode() in subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1:strict", "ascii:surrogateescape"])
@pytest.mark.parametrize("form", ["table", "csv"])
def test_a_character_that_a_terminal_has_not_is_a_question_mark(tmp_path: Path, encoding: str, form: str):
    append(tmp_path, block({"msa": [0.4] * 6, "hilo": [0.2] * 6}, title="注"))
    command = [sys.executable, "-m", "attnbench", "compare", str(tmp_path), "--format", form]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert b"?" in done.stdout
