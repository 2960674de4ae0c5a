"""Runs under names of their own, and what follows from their rows."""

from pathlib import Path

import pytest

from attnbench.analysis import analysis
from attnbench.analysis.analysis import open_runs
from attnbench.cases.case import Role
from attnbench.errors import AttnbenchError
from attnbench.records.record import Record
from attnbench.records.record_file import append, read
from tests.fakes import block, record, run_of

TIMES = {"msa": [0.4] * 6, "hilo": [0.2] * 6}


def a_run(folder: Path, *records: Record) -> Path:
    folder.mkdir(parents=True)
    append(folder, records or block(TIMES))
    return folder


def test_a_run_has_the_name_of_its_folder(tmp_path: Path):
    (run,) = open_runs([a_run(tmp_path / "mine")])
    assert run.name == "mine"
    assert [row.record.case.label for row in run.rows] == ["msa", "hilo"]


def test_runs_whose_folders_have_the_same_name_are_told_apart_by_the_path_before_it(tmp_path: Path):
    folders = [a_run(tmp_path / place) for place in ("old/cpu", "new/cpu", "new/gpu")]
    assert [run.name for run in open_runs(folders)] == ["old/cpu", "new/cpu", "new/gpu"]


def test_a_run_that_is_named_twice_is_there_once(tmp_path: Path):
    folder = a_run(tmp_path / "mine")
    assert len(open_runs([folder, folder / ".." / "mine"])) == 1


def test_without_the_paper_rows_have_nothing_published(tmp_path: Path):
    folder = a_run(tmp_path / "mine")
    assert all(row.published for run in open_runs([folder]) for row in run.rows)
    assert not any(row.published for run in open_runs([folder], with_paper=False) for row in run.rows)


def test_speeds_are_relative_to_the_baseline_that_was_asked_for(tmp_path: Path):
    (run,) = open_runs([a_run(tmp_path / "mine")], "hilo")
    assert {row.timing.baseline for row in run.rows if row.timing} == {"hilo"}


def test_of_several_runs_that_one_is_named_that_has_no_such_baseline(tmp_path: Path):
    old, new = a_run(tmp_path / "old"), a_run(tmp_path / "new", record("msa", TIMES["msa"]))
    with pytest.raises(AttnbenchError, match=f"'hilo' is not in the run in {new}; --baseline can be msa"):
        open_runs([old, new], "hilo")


@pytest.mark.parametrize("role", [None, Role.ceiling])
def test_a_run_without_rows_is_refused(tmp_path: Path, role: Role | None):
    folder = a_run(tmp_path / "mine", record(role=role or Role.member))
    if role is None:
        (folder / "records.jsonl").write_text("")
    with pytest.raises(AttnbenchError, match="mine holds no rows; nothing was measured in it"):
        open_runs([folder])


@pytest.mark.parametrize("name", ["matrices", "crossovers", "agreements", "judge", "commands"])
def test_what_follows_is_worked_out_when_it_is_asked_for_and_once(monkeypatch: pytest.MonkeyPatch, name: str):
    asked: list[object] = []

    def work_out(*given: object) -> list[object]:
        asked.append(given)
        return [given]

    monkeypatch.setattr(analysis, name, work_out)
    run = run_of("mine", block(TIMES))
    assert asked == []
    what = "judgements" if name == "judge" else name
    assert getattr(run, what) is getattr(run, what)
    assert len(asked) == 1


def test_a_run_is_what_its_rows_say_beside_the_baseline_that_was_asked_for(tmp_path: Path):
    file = read(a_run(tmp_path / "mine"))
    assert [row.timing and row.timing.baseline for row in analysis.analysis_of(file, "hilo").rows] == [
        "hilo"
    ] * 2
    assert analysis.analysis_of(file).name == "mine"
