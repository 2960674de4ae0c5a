"""`attnbench runs`: what runs there are."""

import csv
import io
import json
from pathlib import Path

from attnbench.records.record_file import RECORDS, append
from tests.conftest import Run
from tests.fakes import block


def a_run(folder: Path, started_at: str) -> Path:
    folder.mkdir(parents=True)
    append(folder, block({"msa": [0.4] * 6, "hilo": [0.2] * 6}, started_at=started_at))
    return folder


def test_the_newest_run_comes_first_with_its_machine_setting_and_rows(attnbench: Run, tmp_path: Path):
    a_run(tmp_path / "old", "2026-01-01T10:00:00+00:00")
    a_run(tmp_path / "new", "2026-02-01T10:00:00+00:00")
    first, second = csv.DictReader(io.StringIO(attnbench("runs", tmp_path, "--format", "csv").out))
    assert [Path(first["folder"]).name, Path(second["folder"]).name] == ["new", "old"]
    assert (first["rows"], first["measured"], first["complete"]) == ("2", "2", "True")
    assert first["setting"] == "cpu, 14x14, batch 64, inference"
    shown = attnbench("runs", tmp_path).out
    assert shown.index("new") < shown.index("old")
    assert "2/2" in shown


def test_a_run_that_something_is_left_of_is_incomplete(attnbench: Run, tmp_path: Path):
    (a_run(tmp_path / "run", "2026-01-01") / "plan.json").write_text('{"command": []}')
    (line,) = json.loads(attnbench("runs", tmp_path, "--format", "json").out)["runs"]
    assert line["complete"] is False
    assert "incomplete" in attnbench("runs", tmp_path).out


def test_a_run_that_cannot_be_read_is_a_line_that_says_why(attnbench: Run, tmp_path: Path):
    path = a_run(tmp_path / "bad", "2026-01-01") / RECORDS
    path.write_text("{}\n" + path.read_text())
    a_run(tmp_path / "good", "2026-01-02")
    good, bad = json.loads(attnbench("runs", tmp_path, "--format", "json").out)["runs"]
    assert (good["problem"], bad["rows"]) == (None, 0)
    assert "line 1" in bad["problem"]


def test_a_run_itself_is_told_from_a_folder_of_runs(attnbench: Run, tmp_path: Path):
    a_run(tmp_path / "mine", "2026-01-02")
    done = attnbench("runs", tmp_path / "mine")
    assert done.status == 2
    assert f"mine is a run itself; `attnbench compare {tmp_path / 'mine'}` shows it" in done.err


def test_a_folder_without_runs_is_a_mistake_in_the_call(attnbench: Run, tmp_path: Path):
    done = attnbench("runs", tmp_path)
    assert done.status == 2
    assert f"There is no run in {tmp_path}" in done.err
