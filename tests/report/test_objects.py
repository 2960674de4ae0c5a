"""JSON for other programs: base units, intervals in one object, null for what was not measured."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from attnbench.analysis.ceilings import Seen
from attnbench.analysis.difference import changes
from attnbench.analysis.rows import rows
from attnbench.analysis.variant_matrix import matrices
from attnbench.records.record import RecordFile
from attnbench.report.export import matrices_csv, table_csv
from attnbench.report.objects import (
    changes_json,
    folded,
    machine_json,
    matrices_json,
    profile_json,
    run_json,
)
from tests.fakes import MACHINE, block, exactly, record
from tests.report.profiles import PROFILE

TIMES = {"msa": [0.4] * 6, "hilo": [0.2] * 6}


def run_of(records: list[Any]) -> RecordFile:
    return RecordFile(Path("results/run"), tuple(records), ())


def read(found: RecordFile) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run_json(found, rows(found.records)))
    return answer


def columns(csv: str) -> set[str]:
    return set(csv.splitlines()[0].split(","))


def test_an_interval_is_one_object_and_null_without_a_value():
    line = {"x": 2.0, "x_low": 1.0, "x_high": 3.0, "y": None, "y_low": None, "y_high": None, "below_low": 7}
    assert folded(line) == {"x": {"value": 2.0, "low": 1.0, "high": 3.0}, "y": None, "below_low": 7}


def test_a_run_has_its_rows_under_the_columns_of_its_table():
    found = run_of(block(TIMES))
    msa, hilo = read(found)["rows"]
    ends = {f"{name}_{end}" for name in hilo for end in ("low", "high")}
    assert columns(table_csv(rows(found.records))) - ends == hilo.keys() - {
        "mechanism",
        "settings",
        "machine",
    }
    assert hilo["time_s"] == {"value": 0.2, "low": 0.2, "high": 0.2}
    assert hilo["speed_vs_baseline"] == {"value": 2.0, "low": 2.0, "high": 2.0}
    assert (hilo["verdict"], hilo["baseline"], hilo["macs"]) == ("faster", "msa", 500_000_000)
    assert (msa["verdict"], msa["speed_vs_baseline"], msa["reason"]) == (None, None, None)


def test_settings_and_uncounted_operators_are_no_texts():
    found = run_of([record("hilo:alpha=0.5", settings={"alpha": 0.5}, uncounted=("aten::fft",))])
    (row,) = read(found)["rows"]
    assert (row["mechanism"], row["settings"], row["uncounted"]) == ("hilo", {"alpha": 0.5}, ["aten::fft"])


def test_a_row_points_at_its_machine():
    elsewhere = replace(MACHINE, cpu="Slide rule")
    answer = read(run_of([record("msa"), record("hilo", machine=elsewhere), record("xca")]))
    assert answer["machines"] == [asdict(MACHINE), asdict(elsewhere)]
    assert [row["machine"] for row in answer["rows"]] == [0, 1, 0]


def test_what_is_no_number_is_null():
    wrong = [record("hilo", relative_error=error, outcome="wrong") for error in (math.nan, math.inf)]
    assert [row["relative_error"] for row in read(run_of(wrong[:1]))["rows"]] == [None]
    assert [row["relative_error"] for row in read(run_of(wrong[1:]))["rows"]] == [None]


def test_a_run_has_how_far_its_order_is_the_papers():
    (agreement,) = read(run_of(block({"msa": [0.4] * 6, "hilo": [0.2] * 6, "sra": [0.1] * 6})))["agreements"]
    assert (agreement["device"], agreement["mechanisms"]) == ("cpu", 3)
    assert agreement["kendall_tau"] == exactly(1 / 3).value
    assert agreement["variant"]["kernel"] == "explicit"


def test_a_run_over_sizes_has_where_the_order_changes():
    small, large = {"msa": [0.1] * 12, "hilo": [0.2] * 12}, {"msa": [0.4] * 12, "hilo": [0.2] * 12}
    records = [
        *block(small, height=7, width=7, block="small"),
        *block(large, height=28, width=28, block="large"),
    ]
    (crossover,) = read(run_of(records))["crossovers"]
    assert (crossover["faster_beyond"], crossover["slower_beyond"]) == ("hilo", "msa")
    assert crossover["tokens_a_side"] == pytest.approx({"value": 14, "low": 14, "high": 14})


def test_two_runs_have_each_case_before_and_after():
    before, after = run_of(block(TIMES)), run_of(block({"msa": [0.4] * 6, "hilo": [0.1] * 6}))
    found = changes(before, after, None, times=True)
    answer = json.loads(changes_json(before, after, found, [("cpu", "Abacus", None)]))
    msa, hilo = answer["cases"]
    assert (msa["control"], msa["verdict"], hilo["control"]) == (True, None, False)
    assert hilo["speed_vs_before"] == {"value": 2.0, "low": 2.0, "high": 2.0}
    assert (hilo["imgs_per_s_before"]["value"], hilo["imgs_per_s_after"]["value"]) == (320.0, 640.0)
    assert (hilo["macs_before"], hilo["outcome_after"]) == (500_000_000, "measured")
    assert answer["differences"] == [{"field": "cpu", "before": "Abacus", "after": None}]
    assert answer["before"]["machines"] == [asdict(MACHINE)]


def test_variants_have_their_matrix_and_all_else_its_rows():
    fast = block({"msa": [0.1] * 12, "hilo": [0.3] * 12}, kernel="fused")[:2]
    slow = block({"msa": [0.4] * 12, "hilo": [0.2] * 12})
    found = run_of([*slow, *fast, *block(TIMES, height=7, block="other")])
    table = rows(found.records)
    answer = json.loads(matrices_json(found, table))
    (matrix,) = answer["matrices"]
    cells = {(cell["name"], cell["kernel"]): cell for cell in matrix["cells"]}
    assert columns(matrices_csv(matrices(table))) - {
        f"{name}_{end}" for name in cells["msa", "fused"] for end in ("low", "high")
    } == cells["msa", "fused"].keys() - {"machine"}
    assert cells["msa", "fused"]["speed_vs_reference"]["value"] == exactly(4).value
    assert cells["msa", "fused"]["best"]
    assert [key for key, cell in cells.items() if cell["reference"]] == [
        ("msa", "explicit"),
        ("hilo", "explicit"),
    ]
    assert matrix["reference"]["kernel"] == "explicit"
    assert [each["kendall_tau"] for each in matrix["correlations"]] == [-1.0]
    (swap,) = matrix["swaps"]
    assert (swap["first"], swap["second"], swap["behind"][0]["kernel"]) == ("hilo", "msa", "fused")
    assert [row["height"] for row in answer["rows"]] == [7, 7]


def test_a_machine_has_its_ceilings_in_base_units_and_its_advice():
    matmul = record("ceiling/matmul", [0.1] * 6, mechanism="matmul", macs=10**9)
    copy = record("ceiling/copy", mechanism="copy", outcome="crashed", reason="it did")
    answer = json.loads(machine_json(MACHINE, {"cpu": Seen([matmul, copy], ["Close it."])}))
    rate, none = answer["devices"]["cpu"]["ceilings"]
    assert rate["macs_per_s"] == {"value": 1e10, "low": 1e10, "high": 1e10}
    assert (none["bytes_per_s"], none["reason"]) == (None, "it did")
    assert answer["devices"]["cpu"]["advice"] == ["Close it."]
    assert answer["machine"] == asdict(MACHINE)


def test_a_profile_has_its_operators_by_time():
    answer = json.loads(profile_json(PROFILE))
    assert (answer["label"], answer["call_s"], answer["profiled_call_s"]) == ("msa", 0.096, 0.1008)
    assert answer["operators"][0] == {
        "operator": "addmm", "part": "projections", "calls": 2, "self_s": 0.06, "bytes": 12_000_000,
        "macs": 6_000_000_000,
    }  # fmt: skip
