"""The one schema of all that programs read."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from attnbench.analysis.rows import rows
from attnbench.cases.case import Mode, Role
from attnbench.records.codec import to_row
from attnbench.records.record import Energy, Memory, Record
from attnbench.report.columns import ALL_COLUMNS
from attnbench.report.data import case_line, estimate_cells, names_of, row_line
from attnbench.report.export import table_csv, write_table
from attnbench.report.formats.json_object import json_object
from attnbench.report.formats.long_csv import long_csv
from attnbench.report.formats.wide_csv import wide_csv
from attnbench.report.frame import frame
from attnbench.report.html.table import columns_of
from attnbench.report.notes import notes
from attnbench.report.objects import run_json
from attnbench.report.profile import setting_line
from attnbench.report.terminal.table import result_table
from attnbench.statistics import Estimate
from tests.fakes import block, record, run_of
from tests.report.profiles import PROFILE

TABLE = {"msa": [0.4] * 6, "hilo": [0.2] * 6}
RESULTS = Path(__file__).parents[2] / "results"


def test_the_csv_keeps_base_units_and_exact_counts(tmp_path: Path):
    failed = record("mine", outcome="wrong", reason="it is late", macs=None)
    path = write_table(rows([*block(TABLE), failed]), tmp_path)
    table = pd.read_csv(path).to_dict("records")
    assert [line["label"] for line in table] == ["msa", "hilo", "mine"]
    assert (table[0]["macs"], table[0]["time_s"], table[0]["imgs_per_s_published"]) == (500_000_000, 0.4, 505)
    assert table[2]["reason"] == "it is late"
    assert math.isnan(table[2]["imgs_per_s"])
    assert "500000000," in path.read_text()


def test_each_fact_of_a_record_has_its_column_in_a_line():
    memory = Memory(1, 2, "cuda", repeatable=True, reserved_bytes=3, process_bytes=4)
    given: dict[str, Any] = {
        "height": 5, "width": 6, "dim": 56, "heads": 8, "batch": 9, "threads": 10, "params": 11, "macs": 12,
        "macs_closed_form": 13, "least_bytes": 14, "predicted_bytes": 15, "available_bytes": 16,
        "relative_error": 17.0, "preparation_s": 18.0, "outcome": "wrong", "reason": "it is late",
    }  # fmt: skip
    line = row_line(rows([record(memory=memory, uncounted=("aten::sort", "aten::topk"), **given)])[0])
    assert {name: line[name] for name in given} == given
    parts = ("", "entry_", "reserved_", "process_")
    assert [line[f"memory_{part}bytes"] for part in parts] == [1, 2, 3, 4]
    assert (line["memory_scope"], line["uncounted"]) == ("cuda", ("aten::sort", "aten::topk"))


def test_a_line_has_what_the_paper_published():
    line = row_line(rows(block(TABLE))[1])
    names = ("params", "macs", "imgs_per_s", "speed_vs_baseline")
    assert [line[f"{name}_published"] for name in names] == [2_200_000, 298_300_000, 1029, 1029 / 505]


def test_a_line_says_how_sure_a_number_is():
    drift = [1.0, 1.1] * 9
    limits = [record(f"ceiling/{name}", [2.5 * d for d in drift], 3, mechanism=name, role=Role.ceiling,
                     batch=1, macs=10**12, least_bytes=10**9) for name in ("matmul", "copy")]  # fmt: skip
    records = block({"msa": drift, "hilo": [d / 2 for d in drift]}, sessions=3)
    records[-1] = replace(records[-1], samples=record("msa", [1.04 * d for d in drift], 3).samples)
    line = frame(rows([*records, *limits])).to_dict("records")[1]
    assert (line["time_s_low"], line["time_s"], line["time_s_high"]) == pytest.approx((0.5, 0.525, 0.55))
    assert [line[f"speed_vs_baseline{end}"] for end in ("_low", "", "_high")] == pytest.approx([2.0] * 3)
    assert (line["baseline"], line["verdict"], line["noise_floor"]) == ("msa", "faster", pytest.approx(0.04))
    assert (line["rounds"], line["sessions"], line["session_spread"]) == (18, 3, 0.0)
    assert (line["precision"], line["converged"]) == (0.02, True)
    assert line["limited_by"] == "memory"
    assert [line[f"fraction_of_limit{end}"] for end in ("_low", "", "_high")] == pytest.approx([0.5] * 3)
    assert line["impossible"] is False


def test_a_line_leaves_empty_what_was_not_measured():
    line = frame(rows([*block(TABLE), record("sra", outcome="crashed")])).to_dict("records")[2]
    assert (line["rounds"], line["sessions"]) == (0, 0)
    empty = ("time_s_low", "baseline", "verdict", "noise_floor", "converged", "limited_by", "session_spread")
    assert [name for name in empty if not pd.isna(line[name])] == []


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def of_all_outputs(records: Sequence[Record]) -> dict[str, dict[str, object]]:
    """The last row of a run in each output that has rows, the groups of the wide one without their prefix."""
    run = run_of("mine", records)
    wide = parsed(wide_csv([run]))[-1]
    return {
        "table.csv": dict(parsed(table_csv(run.rows))[-1]),
        "compare": json.loads(run_json(run))["rows"][-1],
        "report": json.loads(json_object([run]))["rows"][-1],
        "wide": {name.removeprefix("cpu_"): value for name, value in wide.items()},
        "frame": frame(run.rows).to_dict("records")[-1],
    }


def test_all_outputs_have_the_same_names():
    outputs = of_all_outputs(block(TABLE))
    names = set(outputs["table.csv"])
    assert outputs["compare"].keys() - {"machine"} == names
    assert outputs["report"].keys() - {"run", "machine"} == names
    assert outputs["wide"].keys() <= names
    assert list(outputs["frame"]) == list(outputs["table.csv"])
    metrics = {line["metric"] for line in parsed(long_csv([run_of("mine", block(TABLE))]))}
    assert metrics == {"params", "macs", "time_s", "imgs_per_s", "speed_vs_baseline"} & names


def test_all_outputs_have_the_same_numbers():
    outputs = of_all_outputs(block({"msa": [0.4, 0.5] * 9, "hilo": [0.2, 0.25] * 9}, macs=298_296_320))
    for name in ("macs", "macs_published", "params", "imgs_per_s", "imgs_per_s_low", "speed_vs_baseline"):
        assert len({float(str(row[name])) for row in outputs.values()}) == 1, name
    assert outputs["table.csv"]["macs"] == "298296320"


def test_the_baseline_is_as_fast_as_itself_in_all_outputs():
    outputs = of_all_outputs(block({"msa": [0.4] * 6}))
    assert [float(str(row["speed_vs_baseline"])) for row in outputs.values()] == [1.0] * 5
    (line,) = (
        line
        for line in parsed(long_csv([run_of("mine", block({"msa": [0.4] * 6}))]))
        if line["metric"] == "speed_vs_baseline"
    )
    assert (line["value"], line["low"]) == ("1.0", "")


def test_no_two_columns_have_a_name_in_common():
    names = names_of(ALL_COLUMNS)
    assert sorted(names) == sorted(set(names))


def test_a_line_has_every_choice_of_its_case_under_the_records_name():
    choices: dict[str, Any] = {
        "label": "hilo:alpha=0.5", "title": "HiLo", "settings": {"alpha": 0.5}, "device": "cuda",
        "height": 5, "width": 6, "dim": 56, "heads": 8, "batch": 9, "mode": Mode.training,
        "dtype": "bfloat16", "kernel": "fused", "compile": "default", "cuda_graph": True,
    }  # fmt: skip
    (row,) = rows([record(**choices)])
    case = to_row(row.record.case)
    assert case_line(row) == {name: case[name] for name in case if name not in ("role", "source")} | {
        "threads": 2
    }


def test_a_profile_says_what_was_called_as_rows_of_runs_do():
    assert list(setting_line(PROFILE)) == list(case_line(rows(block(TABLE))[0]))


def test_energy_is_the_mean_over_sessions_with_the_interval_of_students_t():
    """Three sessions a tenth of 2 apart in logarithms: t of two degrees of freedom is 4.303."""
    spent = [Energy(i, 64.0 * 2 ** (i / 10), 2.0, 10, [70.0, None, 70.0][i]) for i in (-1, 0, 1)]
    line = row_line(rows([record("msa", [0.4] * 6, energies=tuple(spent))])[0])
    reach = 2 ** (4.303 * 0.1 / 3**0.5)
    batch = 64
    for name, mean in (("energy_w", 32.0), ("energy_j_per_image", 6.4 / batch)):
        found = [line[name], line[f"{name}_low"], line[f"{name}_high"]]
        assert found == pytest.approx([mean, mean / reach, mean * reach], rel=1e-4)
    assert line["energy_idle_w"] == pytest.approx(70.0)


def test_the_energy_of_two_sessions_has_no_interval():
    spent = tuple(Energy(session, 64.0, 2.0, 10, 70.0) for session in (0, 1))
    line = row_line(rows([record("msa", [0.4] * 6, energies=spent)])[0])
    assert (line["energy_w"], line["energy_w_low"], line["energy_w_high"]) == (32.0, None, None)


def test_what_has_no_counter_has_no_energy():
    none = row_line(rows([record("msa", [0.4] * 6)])[0])
    assert [none[name] for name in ("energy_j_per_image", "energy_w", "energy_idle_w")] == [None] * 3


def test_readers_see_energy_where_it_was_measured():
    spent = Energy(0, 64.0, 2.0, 10, 70.0)
    table = rows([record("msa", [0.4] * 6, energies=(spent,)), record("van", [0.4] * 6)])
    with_energy, without = result_table(table), result_table(table[1:])
    (energy,) = (column for column in with_energy.columns if column.heading == "Energy (mJ/img)")
    assert energy.cells == ["100", "—"]
    assert "Energy (mJ/img)" not in [column.heading for column in without.columns]


def test_what_a_device_draws_at_rest_is_said_beside_energy():
    spent = Energy(0, 64.0, 2.0, 10, 70.31)
    with_energy = rows([record("msa", [0.4] * 6, energies=(spent,))])
    said = "The CPU draws 70.3 W before it has anything to do, which its energy includes."
    assert said in notes(with_energy)
    assert not any("before it has anything" in note for note in notes(rows([record("msa", [0.4] * 6)])))


def test_the_page_has_energy_where_it_was_measured():
    spent = Energy(0, 64.0, 2.0, 10, 70.0)
    table = rows([record("msa", [0.4] * 6, energies=(spent,)), record("van", [0.4] * 6)])
    for columns, there in ((columns_of(table), True), (columns_of(table[1:]), False)):
        heads = [head.title for column in columns for head in column.heads()]
        assert any("Energy" in head for head in heads) is there


def test_energy_that_was_asked_for_and_not_read_is_said():
    asked = replace(record("msa").conditions.protocol, energy_s=0.5)
    spent = Energy(0, 64.0, 2.0, 10, 70.0)
    silent, read = (
        rows([record("msa", [0.4] * 6, protocol=asked, energies=energies)]) for energies in ((), (spent,))
    )
    said = "Energy is not measured on CPU: it has no counter that may be read here."
    assert said in notes(silent)
    assert said not in notes(read)


def test_what_is_wrong_has_no_energy_either():
    spent = Energy(0, 64.0, 2.0, 10, 70.0)
    line = row_line(rows([record("msa", [0.4] * 6, energies=(spent,), outcome="wrong")])[0])
    assert [line[name] for name in ("energy_j_per_image", "energy_w", "energy_idle_w")] == [None] * 3


def test_a_line_says_which_share_of_samples_the_host_paced():
    msa = record("msa", [0.4] * 4)
    samples = (replace(msa.samples[0], host_paced=True), *msa.samples[1:])
    assert row_line(rows([replace(msa, samples=samples)])[0])["host_paced"] == 0.25
    assert row_line(rows([record("msa", outcome="crashed")])[0])["host_paced"] is None


def test_backends_and_settings_are_a_text_in_csv_and_none_in_json():
    outputs = of_all_outputs(
        [record("hilo:alpha=0.5", settings={"alpha": 0.5, "window": 2}, backends=("flash", "math"))]
    )
    for name in ("table.csv", "frame"):
        assert (outputs[name]["backends"], outputs[name]["settings"]) == ("flash math", "alpha=0.5,window=2")
    assert outputs["report"]["backends"] == ["flash", "math"]
    assert outputs["report"]["settings"] == {"alpha": 0.5, "window": 2}


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/table.csv")), ids=lambda path: path.parent.name)
def test_kept_tables_have_columns_of_today_in_their_order(path: Path):
    kept = path.read_text(encoding="utf-8").splitlines()[0].split(",")
    assert [name for name in names_of(ALL_COLUMNS) if name in kept] == kept


def test_an_estimate_has_its_value_and_its_ends_under_their_names():
    assert estimate_cells("x", Estimate(2.0, 1.0, 3.0)) == {"x": 2.0, "x_low": 1.0, "x_high": 3.0}
    assert estimate_cells("x", None) == {"x": None, "x_low": None, "x_high": None}
