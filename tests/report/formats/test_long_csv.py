"""CSV with a line a case and metric."""

import csv

from attnbench.records.record import Record
from attnbench.report.formats.long_csv import long_csv
from tests.fakes import MEMORY, block, record, run_of

TIMES = {"msa": [0.4] * 6, "hilo": [0.2] * 6}


def lines(*records: Record, name: str = "mine") -> list[dict[str, str]]:
    return list(csv.DictReader(long_csv([run_of(name, records)]).splitlines()))


def test_a_line_has_a_number_with_its_interval_unit_baseline_and_verdict():
    (line,) = (
        line
        for line in lines(*block({"msa": [0.4, 0.5] * 9, "hilo": [0.2, 0.25] * 9}, sessions=3))
        if (line["label"], line["metric"]) == ("hilo", "time_s")
    )
    assert [line[name] for name in ("value", "low", "high", "unit")] == ["0.225", "0.2", "0.25", "s"]
    assert [line[name] for name in ("baseline", "verdict", "outcome")] == ["msa", "faster", "measured"]
    assert [line[name] for name in ("noise_floor", "rounds", "sessions", "converged")] == [
        "0.0", "18", "3", "True",
    ]  # fmt: skip


def test_a_line_says_which_case_it_is_and_where_it_was_measured():
    assert list(lines(*block(TIMES, batch=8, kernel="fused"), name="run 1")[0].items())[:18] == [
        ("run", "run 1"), ("label", "msa"), ("mechanism", "msa"), ("title", "MSA"), ("settings", ""),
        ("device", "cpu"), ("height", "14"), ("width", "14"), ("dim", "768"), ("heads", "12"), ("batch", "8"),
        ("mode", "inference"), ("dtype", "float32"), ("kernel", "fused"), ("compile", "off"),
        ("cuda_graph", "False"), ("threads", "2"), ("metric", "params"),
    ]  # fmt: skip


def test_a_case_has_a_line_for_each_metric_that_it_has():
    found = [line["metric"] for line in lines(*block(TIMES)) if line["label"] == "msa"]
    assert found == ["params", "macs", "time_s", "imgs_per_s", "speed_vs_baseline"]
    assert "memory_bytes" in {line["metric"] for line in lines(*block(TIMES, memory=MEMORY))}


def test_numbers_are_whole_and_the_papers_stand_beside_them():
    (line,) = (line for line in lines(record("hilo", macs=298_296_320)) if line["metric"] == "macs")
    assert (line["value"], line["unit"], line["published"]) == ("298296320", "multiply-adds", "298300000")


def test_a_case_without_a_time_says_so_where_its_time_would_be():
    found = lines(record("sra", outcome="out_of_memory", reason="it needs 9 GiB"))
    assert [(line["metric"], line["value"], line["outcome"]) for line in found] == [
        ("params", "1000000", "out_of_memory"), ("macs", "500000000", "out_of_memory"),
        ("time_s", "", "out_of_memory"), ("imgs_per_s", "", "out_of_memory"),
    ]  # fmt: skip
    assert found[-1]["reason"] == "it needs 9 GiB"
