"""JSON for scripts."""

import json
import math
from dataclasses import asdict, replace

import pytest

from attnbench.report.columns import QUANTITIES
from attnbench.report.formats.json_object import json_object
from tests.fakes import MACHINE, block, record, run_of

TIMES = {"msa": [0.4, 0.5] * 9, "hilo": [0.2, 0.25] * 9}
CONTENT = json.loads(
    json_object([run_of("mine", [*block(TIMES, 3), record("sra", outcome="crashed", reason="signal 11")])])
)


def test_a_row_points_at_its_machine_among_those_of_its_run():
    elsewhere = replace(MACHINE, cpu="Slide rule")
    mine = run_of("mine", [record("msa"), record("hilo", machine=elsewhere)])
    content = json.loads(json_object([mine, run_of("other", [record("msa", machine=elsewhere)])]))
    assert content["runs"] == [
        {"name": "mine", "machines": [asdict(MACHINE), asdict(elsewhere)]},
        {"name": "other", "machines": [asdict(elsewhere)]},
    ]
    assert [(row["run"], row["machine"]) for row in content["rows"]] == [
        ("mine", 0), ("mine", 1), ("other", 0),
    ]  # fmt: skip


def test_columns_say_what_they_mean():
    assert [column["name"] for column in CONTENT["columns"]] == [column.name for column in QUANTITIES]
    assert {name: CONTENT["columns"][2][name] for name in ("title", "unit", "better")} == {
        "title": "Memory", "unit": "bytes", "better": "lower",
    }  # fmt: skip
    assert CONTENT["columns"][2]["meaning"].startswith("The most that one call allocates")


def test_rows_have_all_that_is_known_of_them():
    hilo = CONTENT["rows"][1]
    assert [hilo[f"time_s{end}"] for end in ("", "_low", "_high")] == pytest.approx([0.225, 0.2, 0.25])
    assert hilo["imgs_per_s_published"] == 1029
    assert {name: hilo[name] for name in ("run", "label", "baseline", "verdict", "rounds", "sessions")} == {
        "run": "mine", "label": "hilo", "baseline": "msa", "verdict": "faster", "rounds": 18, "sessions": 3,
    }  # fmt: skip
    assert (hilo["noise_floor"], hilo["converged"]) == (0.0, True)


def test_a_row_without_a_time_has_its_outcome_and_null_for_it():
    failed = CONTENT["rows"][2]
    assert (failed["outcome"], failed["reason"], failed["rounds"]) == ("crashed", "signal 11", 0)
    assert (failed["params"], failed["time_s"], failed["speed_vs_baseline"]) == (1_000_000, None, None)


def test_what_is_no_number_is_null():
    run = run_of("mine", [record("hilo", relative_error=math.nan, outcome="wrong")])
    assert "NaN" not in json_object([run])
