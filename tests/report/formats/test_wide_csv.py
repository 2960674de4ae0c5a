"""CSV in Table IV's shape."""

import csv

from attnbench.records.record import Record
from attnbench.report.formats.wide_csv import wide_csv
from tests.fakes import MEMORY, block, record, run_of

TIMES = {"msa": [0.4, 0.5] * 9, "hilo": [0.2, 0.25] * 9}


def lines(**runs: list[Record]) -> list[dict[str, str]]:
    text = wide_csv([run_of(name, records) for name, records in runs.items()])
    return list(csv.DictReader(text.splitlines()))


def test_a_mechanism_has_a_line_with_its_counts_and_a_group_of_columns_for_each_device():
    gpu = {"msa": [0.004] * 6, "hilo": [0.002] * 6}
    found = lines(
        mine=[*block(TIMES, batch=8, memory=MEMORY), *block(gpu, device="cuda", block="gpu", batch=8)]
    )
    assert [line["label"] for line in found] == ["msa", "hilo"]
    assert list(found[1].items())[14:] == [
        ("params", "1000000"), ("macs", "500000000"),
        ("cpu_memory_bytes", "1048576000"),
        ("cpu_imgs_per_s", "35.55555555555556"), ("cpu_imgs_per_s_low", "32.0"),
        ("cpu_imgs_per_s_high", "40.0"),
        ("cpu_speed_vs_baseline", "2.0"), ("cpu_speed_vs_baseline_low", "2.0"),
        ("cpu_speed_vs_baseline_high", "2.0"), ("cpu_baseline", "msa"), ("cpu_verdict", "faster"),
        ("cpu_threads", "2"), ("cpu_outcome", "measured"),
        ("gpu_imgs_per_s", "4000.0"), ("gpu_imgs_per_s_low", "4000.0"), ("gpu_imgs_per_s_high", "4000.0"),
        ("gpu_speed_vs_baseline", "2.0"), ("gpu_speed_vs_baseline_low", "2.0"),
        ("gpu_speed_vs_baseline_high", "2.0"), ("gpu_baseline", "msa"), ("gpu_verdict", "faster"),
        ("gpu_threads", "2"), ("gpu_outcome", "measured"),
    ]  # fmt: skip


def test_the_papers_columns_are_there_in_its_setting():
    (line,) = lines(mine=[record("hilo", [0.2] * 6)])
    theirs = {name: cell for name, cell in line.items() if name.endswith("published")}
    assert theirs == {
        "params_published": "2200000", "macs_published": "298300000", "cpu_imgs_per_s_published": "1029",
        "cpu_speed_vs_baseline_published": str(1029 / 505),
    }  # fmt: skip


def test_runs_that_measured_the_same_mechanism_do_not_collide():
    (line,) = lines(before=[record("msa", [0.4] * 6)], after=[record("msa", [0.2] * 6)])
    assert (line["before_imgs_per_s"], line["after_imgs_per_s"]) == ("160.0", "320.0")


def test_all_settings_stand_below_each_other():
    found = lines(mine=[record("msa", [0.4] * 6, height=7), record("msa", [0.1] * 6, height=28)])
    assert [(line["height"], line["cpu_imgs_per_s"]) for line in found] == [("7", "160.0"), ("28", "640.0")]


def test_a_case_without_a_time_has_its_outcome():
    found = lines(mine=[record("msa", [0.4] * 6), record("sra", outcome="timed_out", reason="too slow")])
    assert [found[1][f"cpu_{name}"] for name in ("imgs_per_s", "outcome", "reason")] == [
        "", "timed_out", "too slow",
    ]  # fmt: skip


def test_runs_whose_names_differ_in_signs_alone_keep_columns_of_their_own():
    runs = {
        name: [record("msa", [seconds] * 6, batch=8)] for name, seconds in {"a-b": 1.0, "a_b": 2.0}.items()
    }
    (line,) = lines(**runs)
    assert (line["a_b_imgs_per_s"], line["a_b_2_imgs_per_s"]) == ("8.0", "4.0")


def test_numbers_of_threads_have_lines_of_their_own():
    found = lines(mine=[record("msa", [0.4 / count] * 6, threads=count) for count in (1, 2)])
    assert [(line["cpu_threads"], line["cpu_imgs_per_s"]) for line in found] == [
        ("1", "160.0"),
        ("2", "320.0"),
    ]
