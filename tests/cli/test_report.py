"""`attnbench report` as a shell sees it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnbench.cli.pipe import quiet_output
from attnbench.records.record_file import append
from attnbench.report.formats import FORMATS, long_csv
from tests.conftest import Run
from tests.fakes import block

TIMES = {"msa": [0.4] * 6, "hilo": [0.2] * 6}
BEGINNINGS = {
    "csv": "run,label,mechanism,title,settings,device,",
    "markdown": "| Mechanism | Params (M) | paper |",
    "latex": "% Needs \\usepackage{booktabs}.\n\\begin{table*}",
    "json": '{\n  "runs": [',
    "html": "<!doctype html>\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run."""
    run = tmp_path / "results" / "mine"
    run.mkdir(parents=True)
    append(run, block(TIMES))
    return run


@pytest.mark.parametrize("form", BEGINNINGS)
def test_a_format_goes_to_standard_output(attnbench: Run, folder: Path, form: str):
    done = attnbench("report", folder, "--format", form)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(BEGINNINGS[form])


@pytest.mark.parametrize(
    ("name", "form"),
    [("t.csv", "csv"), ("t.md", "markdown"), ("t.tex", "latex"), ("t.json", "json"), ("t.html", "html")],
)
def test_the_end_of_a_files_name_says_its_format(attnbench: Run, folder: Path, name: str, form: str):
    path = folder / "paper" / name
    done = attnbench("report", folder, "--out", path)
    assert done.out == f"written: {path}\n"
    assert path.read_text(encoding="utf-8") == attnbench("report", folder, "--format", form).out


def test_a_format_that_is_asked_for_counts_more_than_the_name_of_the_file(attnbench: Run, folder: Path):
    attnbench("report", folder, "--out", folder / "table.txt", "--format", "markdown")
    assert (folder / "table.txt").read_text(encoding="utf-8").startswith(BEGINNINGS["markdown"])


def test_a_name_that_says_no_format_is_refused_before_anything_is_written(attnbench: Run, folder: Path):
    done = attnbench("report", folder, "--out", folder / "table.doc")
    assert done.status == 2
    assert "could end in .csv, .md, .tex, .json, .html; say it with --format." in done.err
    assert not (folder / "table.doc").exists()


def test_without_a_run_the_newest_is_reported(attnbench: Run, folder: Path):
    newer = folder.parent / "newer"
    newer.mkdir()
    append(newer, block(TIMES, started_at="2026-02-01T00:00:00+00:00"))
    done = attnbench("report", "--results", folder.parent, "--format", "json")
    assert [run["name"] for run in json.loads(done.out)["runs"]] == ["newer"]


def test_each_format_has_a_name_and_an_ending_of_its_own():
    assert [form.name for form in FORMATS] == list(BEGINNINGS)
    assert len({form.suffix for form in FORMATS}) == len(FORMATS)


def test_several_runs_are_reported_together(attnbench: Run, folder: Path):
    other = folder.parent / "other"
    other.mkdir()
    append(other, block(TIMES, device="cuda"))
    done = attnbench("report", folder, other, "--format", "latex")
    assert "\\multicolumn{7}{c}{CPU} & \\multicolumn{7}{c}{GPU}" in done.out


def test_wide_csv_has_a_line_a_mechanism(attnbench: Run, folder: Path):
    lines = attnbench("report", folder, "--wide").out.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["label", "msa", "hilo"]


def test_a_standalone_table_is_a_document(attnbench: Run, folder: Path):
    done = attnbench("report", folder, "--standalone", "--out", folder / "table.tex")
    assert done.status == 0
    assert (folder / "table.tex").read_text(encoding="utf-8").startswith("\\documentclass")


def test_the_published_numbers_can_be_left_out(attnbench: Run, folder: Path):
    assert "paper" not in attnbench("report", folder, "--no-paper", "--format", "markdown").out


def test_speeds_are_relative_to_the_baseline_that_was_asked_for(attnbench: Run, folder: Path):
    assert "× HILO" in attnbench("report", folder, "--baseline", "hilo", "--format", "markdown").out
    assert "'van' is not in this run" in attnbench("report", folder, "--baseline", "van").err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            ["--wide", "--format", "latex"],
            "--wide is for csv, not for latex; leave it out, or take --format csv.",
        ),
        (["--wide", "--standalone"], "--standalone is for latex, not for csv"),
        (["--standalone"], "--standalone is for latex, not for csv; leave it out, or take --format latex."),
    ],
)
def test_options_of_another_format_are_refused(attnbench: Run, folder: Path, options: list[str], why: str):
    done = attnbench("report", folder, *options)
    assert done.status == 2
    assert why in done.err


def test_a_folder_without_a_run_and_a_run_without_rows_are_refused(attnbench: Run, tmp_path: Path):
    assert "There is no run in" in attnbench("report", tmp_path).err
    (tmp_path / "records.jsonl").touch()
    done = attnbench("report", tmp_path)
    assert (done.status, done.out) == (2, "")
    assert "holds no rows; nothing was measured in it." in done.err


@pytest.mark.parametrize("command", ["report", "compare"])
def test_a_reader_who_goes_ends_the_command_without_a_word(tmp_path: Path, command: str):
    for size in range(60):
        append(tmp_path, block(TIMES, height=size + 1, block=str(size)))
    shell = f"{sys.executable} -m attnbench {command} {tmp_path} | head -1 >&2; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert done.stdout == "141\n"
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_who_goes_before_a_short_answer_is_written_ends_it_as_quietly(
    monkeypatch: pytest.MonkeyPatch,
):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        for name in ("stdout", "__stdout__"):
            monkeypatch.setattr(sys, name, out)
        with pytest.raises(SystemExit, match="141"), quiet_output():
            print("a line")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
@pytest.mark.parametrize("lines", [1, 10_000])
def test_standard_output_that_cannot_be_written_is_one_line_and_status_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lines: int
):
    with Path("/dev/full").open("w") as out:
        for name in ("stdout", "__stdout__"):
            monkeypatch.setattr(sys, name, out)
        with pytest.raises(SystemExit, match="2"), quiet_output():
            print("a line\n" * lines)
    said = "Error: Standard output cannot be written: No space left on device; what was printed is not whole."
    assert capsys.readouterr().err == f"{said} Print to another place.\n"


def test_a_file_is_replaced_when_the_new_one_is_whole_and_a_device_is_not(
    attnbench: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "table.csv"
    command = ("report", folder, "--format", "csv", "--out")
    assert attnbench(*command, out).status == 0
    before = out.read_text()

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(long_csv, "_lines", interrupted)  # after the header
        assert attnbench(*command, out).status == 130
    assert out.read_text() == before
    assert list(tmp_path.glob("table*")) == [out]
    assert attnbench(*command, "/dev/null").status == 0
    assert Path("/dev/null").is_char_device()


def test_a_file_that_cannot_be_written_says_why_and_what_to_do(attnbench: Run, folder: Path):
    done = attnbench("report", folder, "--format", "csv", "--out", folder)
    assert (done.status, done.out) == (2, "")
    assert done.err == f"Error: {folder} cannot be written: Is a directory. Name another place.\n"
