"""Small words that stop a newcomer where they are missing or wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attnbench.analysis.overview import overview
from attnbench.cases.case import Mode, Role
from attnbench.cases.variant import DTYPES
from attnbench.cli.options import read_modes, read_names
from attnbench.records.record_file import append
from tests.conftest import Run
from tests.fakes import block, record

TIMES = {"msa": [0.4] * 12, "hilo": [0.2] * 12}


@pytest.mark.parametrize("columns", range(80, 160, 5))
def test_the_papers_columns_never_vanish_without_a_word(
    attnbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
):
    append(tmp_path, block(TIMES))
    monkeypatch.setenv("COLUMNS", str(columns))
    out = attnbench("compare", tmp_path).out
    assert out.count("1,029") or "left out for want of width: paper" in " ".join(out.split())


def test_no_word_of_the_registry_is_broken_at_80_columns(attnbench: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = attnbench("list", "hilo:pooled_queries=true").out.split()
    assert any("pooled_queries=True" in word for word in words)


def test_number_formats_and_modes_have_their_short_names():
    assert read_names("--dtype", ["fp16,bf16"], DTYPES) == ["float16", "bfloat16"]
    assert read_modes(["train"]) == [Mode.training]


def test_a_name_of_nobody_says_how_ones_own_comes_in(attnbench: Run):
    done = attnbench("run", "zzz")
    assert done.status == 2
    assert "one of your own comes with --plugin FILE" in done.err


def test_layers_of_one_title_are_told_apart(attnbench: Run, tmp_path: Path):
    append(tmp_path, [*block({"msa": [0.4] * 12}, title="MSA"), record("mine", [0.2] * 12, title="MSA")])
    out = attnbench("compare", tmp_path).out
    assert "│ MSA (msa) " in out
    assert "│ MSA (mine) " in out


def edited(**changes: Any) -> list[Any]:
    """HiLo measured again, after an edit, beside MSA as a control."""
    msa, hilo, twin = block({"msa": [0.5] * 12, "hilo": [0.2] * 12}, block="later", **changes)
    return [replace(msa, case=replace(msa.case, role=Role.control)), hilo, twin]


def test_an_edited_layer_says_that_its_ratio_is_to_a_later_baseline(attnbench: Run, tmp_path: Path):
    append(tmp_path, [*block(TIMES), *edited(started_at="2026-02-01T00:00:00+00:00")])
    said = " ".join(attnbench("compare", tmp_path).out.split())
    assert "HILO: compared with a later measurement of MSA than its row has, timed in turn." in said


def test_layers_that_were_timed_together_say_nothing_of_other_baselines(attnbench: Run, tmp_path: Path):
    append(tmp_path, block(TIMES))
    assert "than its row has" not in attnbench("compare", tmp_path).out


@pytest.mark.parametrize("form", ["table", "csv"])
def test_no_row_without_a_time_reads_measured(attnbench: Run, tmp_path: Path, form: str):
    append(tmp_path, [*block({"msa": [0.4] * 12}), record("hilo", complete=False)])
    out = attnbench("compare", tmp_path, "--format", form).out
    (hilo,) = (line for line in out.splitlines() if line.startswith(("│ HILO", "hilo,")))
    assert "interrupted" in hilo
    assert "measured" not in hilo


def test_a_page_says_interrupted_too(attnbench: Run, tmp_path: Path):
    append(tmp_path, [*block({"msa": [0.4] * 12}), record("hilo", complete=False)])
    assert "interrupted" in attnbench("report", tmp_path, "--format", "html").out


def test_runs_count_what_has_a_time(tmp_path: Path):
    folder = tmp_path / "run"
    folder.mkdir()
    append(folder, [*block({"msa": [0.4] * 12}), record("hilo", complete=False)])
    (found,) = overview(tmp_path)
    assert (found.measured, found.rows) == (1, 2)


@pytest.mark.parametrize("form", ["markdown", "latex", "html"])
def test_a_kernel_of_a_layers_own_is_told_in_every_table_for_people(
    attnbench: Run, tmp_path: Path, form: str
):
    append(tmp_path, [*block({"msa": [0.4] * 12}), record("mine", [0.2] * 12, backends=("flash",))])
    assert "MINE (own kernel)" in attnbench("report", tmp_path, "--format", form).out
