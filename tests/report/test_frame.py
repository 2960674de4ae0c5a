"""Rows as a data frame, and back."""

from pathlib import Path

import pandas as pd
import pytest

from attnbench.analysis.analysis import rows_of
from attnbench.analysis.energy import watts
from attnbench.analysis.rows import Row, measured, rows
from attnbench.errors import AttnbenchError
from attnbench.records.record import Energy
from attnbench.records.record_file import read
from attnbench.report.columns import ALL_COLUMNS
from attnbench.report.data import cells_of
from attnbench.report.figure.quantities import energy_mj
from attnbench.report.frame import frame, rows_in, telling
from attnbench.report.read_back import NEEDED
from attnbench.statistics import Estimate
from tests.fakes import MEMORY, block, record

KEPT = Path(__file__).parents[2] / "results"
SAMPLES = {"msa": [0.4, 0.41, 0.42, 0.4, 0.4, 0.39], "hilo": [0.2, 0.21, 0.2, 0.22, 0.2, 0.2]}


@pytest.fixture
def table() -> list[Row]:
    failed = record("sra", outcome="out_of_memory", reason="too large", macs=None, predicted_bytes=2**40)
    return rows([*block(SAMPLES, memory=MEMORY, settings={"alpha": 0.5, "kind": "x", "on": True}), failed])


@pytest.mark.parametrize("run", ["table-iv-cpu", "alpha-cpu", "memory-limit-cpu", "table-iv-h200"])
def test_what_figures_draw_of_a_kept_run_comes_back(run: str):
    table = rows_of(read(KEPT / run))
    back = rows_in(frame(table))
    drawn = [column for column in ALL_COLUMNS if not set(NEEDED).isdisjoint(column.names)]
    for row, again in zip(table, back, strict=True):
        assert cells_of(drawn, again) == cells_of(drawn, row)
        assert again.published == row.published
        assert again.record.case.settings == row.record.case.settings


def test_settings_are_numbers_truths_and_words_again(table: list[Row]):
    (hilo,) = (row for row in rows_in(frame(table)) if row.record.case.label == "hilo")
    assert hilo.record.case.settings == {"alpha": 0.5, "kind": "x", "on": True}


def test_what_was_not_measured_is_none_again(table: list[Row]):
    sra = rows_in(frame(table))[-1]
    assert (sra.timing, sra.record.macs, sra.record.predicted_bytes) == (None, None, 2**40)
    assert sra.record.outcome == "out_of_memory"


def test_the_machine_is_known_by_its_processor_and_software(table: list[Row]):
    conditions = rows_in(frame(table))[0].record.conditions
    described = conditions.machine.describe("cpu", conditions.threads)
    assert described == "Abacus, 2 threads, torch 2.13.0, attnbench 0.1.0"


def test_a_models_images_are_images_again():
    (row,) = rows([record("model", [0.1] * 6, dim=3, heads=1, height=224, width=224, images=True)])
    (again,) = rows_in(frame([row]))
    assert again.record.case.workload == row.record.case.workload


def test_energy_an_image_comes_back():
    spent = Energy(0, joules=64.0, seconds=2.0, calls=10, idle_w=None)
    (row,) = rows([record("msa", [0.1] * 6, energies=(spent,))])
    (again,) = rows_in(frame([row]))
    assert energy_mj(again) == energy_mj(row) is not None
    assert watts(again) == watts(row) == Estimate(32.0)


def test_a_table_that_is_read_from_a_file_can_be_drawn_too(table: list[Row], tmp_path: Path):
    frame(table).to_csv(tmp_path / "table.csv", index=False)
    back = rows_in(pd.read_csv(tmp_path / "table.csv"))
    assert [row.timing.speed for row in measured(back)] == [row.timing.speed for row in measured(table)]


def test_lines_keep_their_order_and_those_that_are_left_out_are_gone(table: list[Row]):
    chosen = frame(table).sort_values("time_s").head(1)
    assert [row.record.case.label for row in rows_in(chosen)] == ["hilo"]


def test_telling_columns_keep_the_others_aside_through_choosing_and_sorting(table: list[Row]):
    told = telling(frame(table))
    assert "batch" not in told.columns
    fastest = told.sort_values("imgs_per_s", ascending=False).query("outcome == 'measured'")
    back = rows_in(fastest)
    assert [row.record.case.title for row in back] == ["HILO", "MSA"]
    assert [row.record.case.workload.batch for row in back] == [64, 64]
    assert back[0].record.memory == rows_in(frame(table))[1].record.memory


def test_a_frame_without_a_column_says_which_and_where_to_get_it(table: list[Row]):
    with pytest.raises(AttnbenchError, match=r"The frame lacks batch, processor, so that .* attnbench\.load"):
        rows_in(frame(table).drop(columns=["batch", "processor"]))


def test_a_frame_without_lines_is_refused(table: list[Row]):
    with pytest.raises(AttnbenchError, match="The frame has no lines"):
        rows_in(frame(table).query("label == 'nobody'"))
