"""JSON for other programs: base units, names as in CSV, null for what was not measured."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from attnbench.analysis.analysis import analysis_of
from attnbench.analysis.ceilings import Seen
from attnbench.analysis.difference import changes
from attnbench.analysis.rows import rows
from attnbench.analysis.variant_matrix import matrices
from attnbench.records.record_file import RecordFile
from attnbench.report.export import matrices_csv, table_csv
from attnbench.report.objects import (
    changes_json,
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
    answer: dict[str, Any] = json.loads(run_json(analysis_of(found)))
    return answer


def columns(csv: str) -> set[str]:
    return set(csv.splitlines()[0].split(","))


def test_a_run_has_its_rows_under_the_columns_of_its_table():
    found = run_of(block(TIMES))
    msa, hilo = read(found)["rows"]
    assert columns(table_csv(rows(found.records))) == hilo.keys() - {"machine"}
    assert [hilo[f"time_s{end}"] for end in ("", "_low", "_high")] == [0.2] * 3
    assert [hilo[f"speed_vs_baseline{end}"] for end in ("", "_low", "_high")] == [2.0] * 3
    assert (hilo["verdict"], hilo["baseline"], hilo["macs"]) == ("faster", "msa", 500_000_000)
    assert (msa["verdict"], msa["speed_vs_baseline"], msa["reason"]) == (None, 1.0, None)


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
    assert [crossover[f"tokens_a_side{end}"] for end in ("", "_low", "_high")] == pytest.approx([14] * 3)


def test_two_runs_have_each_case_before_and_after():
    before, after = run_of(block(TIMES)), run_of(block({"msa": [0.4] * 6, "hilo": [0.1] * 6}))
    found = changes(before, after, None, times=True)
    answer = json.loads(changes_json(before, after, found, [("cpu", "Abacus", None)]))
    msa, hilo = answer["cases"]
    assert (msa["control"], msa["verdict"], hilo["control"]) == (True, None, False)
    assert [hilo[f"speed_vs_before{end}"] for end in ("", "_low", "_high")] == [2.0] * 3
    assert (hilo["imgs_per_s_before"], hilo["imgs_per_s_after"]) == (320.0, 640.0)
    assert (hilo["macs_before"], hilo["outcome_after"]) == (500_000_000, "measured")
    assert answer["differences"] == [{"field": "cpu", "before": "Abacus", "after": None}]
    assert answer["before"]["machines"] == [asdict(MACHINE)]


def test_variants_have_their_matrix_and_all_else_its_rows():
    fast = block({"msa": [0.1] * 12, "hilo": [0.3] * 12}, kernel="fused")[:2]
    slow = block({"msa": [0.4] * 12, "hilo": [0.2] * 12})
    found = run_of([*slow, *fast, *block(TIMES, height=7, block="other")])
    table = rows(found.records)
    answer = json.loads(matrices_json(analysis_of(found)))
    (matrix,) = answer["matrices"]
    cells = {(cell["label"], cell["kernel"]): cell for cell in matrix["cells"]}
    assert columns(matrices_csv(matrices(table))) == cells["msa", "fused"].keys() - {"machine"}
    assert cells["msa", "fused"]["speed_vs_reference"] == exactly(4).value
    assert cells["msa", "fused"]["best"]
    assert {cell["reference"] for cell in cells.values()} == {"float32 explicit"}
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
    assert [rate[f"macs_per_s{end}"] for end in ("", "_low", "_high")] == [1e10] * 3
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
