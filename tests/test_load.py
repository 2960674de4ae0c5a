"""`attnbench.load`: a run as a data frame."""

import csv
from pathlib import Path

import pandas as pd
import pytest

import attnbench
from attnbench.records.record_file import RECORDS, append
from tests.fakes import MEMORY, block, record

KEPT = Path(__file__).parents[1] / "results" / "table-iv-cpu"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run of two layers that were timed and one that was not."""
    append(tmp_path, block({"msa": [0.4, 0.5] * 9, "hilo": [0.2, 0.25] * 9}, memory=MEMORY))
    append(tmp_path, [record("sra", outcome="crashed", reason="signal 11", macs=None)])
    return tmp_path


def test_a_run_is_a_line_a_case_in_base_units(folder: Path):
    hilo = attnbench.load(folder).set_index("label").loc["hilo"]
    assert (hilo["time_s"], hilo["time_s_low"], hilo["time_s_high"]) == (0.225, 0.2, 0.25)
    assert (hilo["memory_bytes"], hilo["macs"]) == (1000 * 2**20, 500_000_000)
    assert (hilo["macs_published"], hilo["imgs_per_s_published"]) == (298_300_000, 1029)
    assert (hilo["speed_vs_baseline"], hilo["baseline"], hilo["verdict"]) == (2.0, "msa", "faster")


def test_what_was_not_measured_is_not_available_and_counts_stay_whole(folder: Path):
    table = attnbench.load(folder)
    assert list(table["label"]) == ["msa", "hilo", "sra"]
    assert list(table["macs"].isna()) == list(table["time_s"].isna()) == [False, False, True]
    assert pd.api.types.is_integer_dtype(table["macs"])


def test_its_columns_are_those_of_the_runs_table():
    with (KEPT / "table.csv").open(encoding="utf-8") as file:
        names = next(csv.reader(file))
    table = attnbench.load(str(KEPT))
    assert list(table) == names
    assert len(table) == 14


def test_samples_are_a_line_each_with_what_else_was_timed_in_their_round(folder: Path):
    samples = attnbench.load(folder, samples=True)
    assert len(samples) == 3 * 18
    assert set(samples["label"]) == {"msa", "hilo"}
    assert set(samples["role"]) == {"member", "twin"}
    hilo = samples[samples["label"] == "hilo"]
    assert list(hilo["time_s"]) == [0.2, 0.25] * 9
    rounds = samples[samples["role"] == "member"].pivot(
        index=["block", "session", "round"], columns="label", values="time_s"
    )
    assert set(rounds["msa"] / rounds["hilo"]) == {2.0}


def test_samples_of_a_run_without_any_are_refused(tmp_path: Path):
    append(tmp_path, [record("sra", outcome="crashed", reason="signal 11", macs=None)])
    with pytest.raises(attnbench.AttnbenchError, match="holds no samples"):
        attnbench.load(tmp_path, samples=True)


def test_where_there_is_no_run_it_says_what_makes_one(tmp_path: Path):
    with pytest.raises(attnbench.AttnbenchError, match=r"There is no run in .*attnbench run"):
        attnbench.load(tmp_path)


def test_a_file_of_a_run_and_a_folder_of_runs_are_told_from_a_run(tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    append(run, [record("msa")])
    with pytest.raises(attnbench.AttnbenchError, match=rf"it is a file\. Name the folder .* {run}\.$"):
        attnbench.load(run / RECORDS)
    with pytest.raises(attnbench.AttnbenchError, match=rf"holds the folders of 1 run\. .* such as {run}\.$"):
        attnbench.load(tmp_path)


def test_a_run_without_rows_is_refused(tmp_path: Path):
    (tmp_path / RECORDS).touch()
    with pytest.raises(attnbench.AttnbenchError, match="holds no rows"):
        attnbench.load(tmp_path)


def test_a_line_that_was_cut_off_is_a_warning(folder: Path):
    with (folder / RECORDS).open("a") as file:
        file.write('{"key":')
    with pytest.warns(UserWarning, match="the last line was cut off"):
        table = attnbench.load(folder)
    assert len(table) == 3
