"""`attnbench compare`: a run beside the paper, and two runs side by side."""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attnbench.analysis.rows import rows
from attnbench.records.record_file import RECORDS, append, read
from attnbench.report.export import write_table
from tests.conftest import Run
from tests.fakes import MACHINE, block, record

TIMES = {"msa": 0.4, "hilo": 0.2, "sra": 0.3, "local-window": 0.25, "van": 0.3}
DRIFT = (1.0, 1.1, 1.05, 1.2, 1.0, 0.9) * 2


def a_run(folder: Path, times_s: Mapping[str, float] = TIMES, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    drifting = {label: [seconds * drift for drift in DRIFT] for label, seconds in times_s.items()}
    append(folder, block(drifting, **changes))
    return folder


def verdicts(out: str) -> dict[str, str]:
    """The verdict on each sentence that HiLo is at least so many times as fast as another, by that number."""
    return dict(re.findall(r"HiLo is at least ([\d.]+) times .* (holds|fails|unclear) ", out))


def test_ratios_rank_correlation_and_claims_stand_beside_the_paper(attnbench: Run, tmp_path: Path):
    out = attnbench("compare", a_run(tmp_path / "run")).out
    assert "2.00 [2.00, 2.00]" in out
    assert "1,029" in out
    assert "Kendall's τ with the paper's order (Intel i9-10900X) is 0.53 over 5 mechanisms" in out
    assert verdicts(out) == {"1.4": "holds", "1.6": "fails", "17.4": "fails"}


def test_without_a_name_the_newest_run_is_compared(attnbench: Run, tmp_path: Path):
    a_run(tmp_path / "old", started_at="2026-01-01")
    a_run(tmp_path / "new", started_at="2026-02-01")
    assert attnbench("compare", "--results", tmp_path).out.startswith(f"{tmp_path}/new")


def test_a_cut_off_last_line_is_said_and_the_rest_compared(attnbench: Run, tmp_path: Path):
    path = a_run(tmp_path / "run") / RECORDS
    path.write_text(path.read_text()[:-50])
    done = attnbench("compare", path.parent)
    assert done.status == 0
    assert "last line was cut off" in done.out
    assert "over 5 mechanisms" in done.out
    assert "last line was cut off" in attnbench("compare", path.parent, a_run(tmp_path / "later")).out


def test_a_folder_without_a_run_is_the_users_mistake(attnbench: Run, tmp_path: Path):
    done = attnbench("compare", tmp_path)
    assert done.status == 2
    assert "`attnbench run` makes one" in done.err


def test_an_empty_run_is_said_to_be_one(attnbench: Run, tmp_path: Path):
    (tmp_path / RECORDS).touch()
    done = attnbench("compare", tmp_path)
    assert done.status == 2
    assert "holds no rows" in done.err


def test_without_a_baseline_there_are_no_ratios_to_draw(attnbench: Run, tmp_path: Path):
    append(tmp_path, [record("hilo", [0.2] * 6)])
    assert attnbench("compare", tmp_path, "--plot").status == 0
    assert {path.name for path in tmp_path.glob("*.png")} == {"throughput.png", "flops-time.png"}


def test_figures_have_the_width_and_the_formats_that_are_asked_for(attnbench: Run, tmp_path: Path):
    run = a_run(tmp_path / "run", {"msa": 0.4, "hilo": 0.2})
    assert attnbench("compare", run, "--plot", "--width", "page", "--svg").status == 0
    assert {path.suffix for path in run.glob("throughput.*")} == {".png", ".pdf", ".svg"}
    assert b"/MediaBox [ 0 0 515.52 " in (run / "throughput.pdf").read_bytes()


def test_a_width_without_a_figure_is_the_users_mistake(attnbench: Run, tmp_path: Path):
    run = a_run(tmp_path / "run", {"msa": 0.4, "hilo": 0.2})
    for option in (("--width", "column"), ("--svg",)):
        done = attnbench("compare", run, *option)
        assert done.status == 2
        assert "add --plot to draw them" in done.err


def test_each_size_batch_and_mode_has_a_table(attnbench: Run, tmp_path: Path):
    settings: list[dict[str, Any]] = [{}, {"height": 7}, {"batch": 4}, {"mode": "training"}]
    for number, changes in enumerate(settings):
        append(tmp_path, block({"msa": [0.4] * 6, "hilo": [0.2] * 6}, block=str(number), **changes))
    out = attnbench("compare", tmp_path).out
    assert [line.strip() for line in out.splitlines() if " tokens, dim" in line] == [
        "14×14 tokens, dim 768, 12 heads, batch 64, float32, explicit kernel, inference",
        "7×14 tokens, dim 768, 12 heads, batch 64, float32, explicit kernel, inference",
        "14×14 tokens, dim 768, 12 heads, batch 4, float32, explicit kernel, inference",
        "14×14 tokens, dim 768, 12 heads, batch 64, float32, explicit kernel, training",
    ]
    assert len([line for line in out.splitlines() if line.startswith("│ HILO")]) == 4


def test_sentences_are_about_the_papers_setting_only(attnbench: Run, tmp_path: Path):
    other = a_run(tmp_path / "other", batch=8)
    assert "attnbench claims" not in attnbench("compare", other).out


def test_sentences_that_a_run_cannot_test_are_only_counted(attnbench: Run, tmp_path: Path):
    run = a_run(tmp_path / "run", {"msa": 0.4, "hilo": 0.2})
    out = attnbench("compare", run).out
    assert "HiLo is" not in out
    assert "fewer parameters" not in out  # which it can test, but which is not about speed
    assert re.search(rf"claims: .*\d+ not testable\.\n`attnbench claims {run}` has a line for each", out)


def test_another_baseline_can_be_asked_for(attnbench: Run, tmp_path: Path):
    done = attnbench("compare", a_run(tmp_path / "run"), "--baseline", "hilo")
    assert "× HILO" in done.out
    assert "0.50 [0.50, 0.50]" in done.out


def test_a_baseline_that_is_not_in_the_run_is_the_users_mistake(attnbench: Run, tmp_path: Path):
    run = a_run(tmp_path / "run", {"msa": 0.4, "hilo": 0.2})
    for arguments, which in (([run], "this run"), ([run, run], f"the run in {run}")):
        done = attnbench("compare", *arguments, "--baseline", "hlio")
        assert done.status == 2
        assert f"'hlio' is not in {which}; --baseline can be msa, hilo." in done.err


def test_two_runs_are_set_side_by_side(attnbench: Run, tmp_path: Path):
    before = a_run(tmp_path / "before", {"msa": 0.4, "hilo": 0.2})
    after = a_run(tmp_path / "after", {"msa": 0.5, "hilo": 0.125})
    done = attnbench("compare", before, after)
    assert done.status == 0
    assert "before" in done.out.partition("→")[0]
    (hilo,) = (line for line in done.out.splitlines() if line.startswith("│ HILO"))
    assert "2.00 [2.00, 2.00]" in hilo
    assert hilo.rstrip("│ ").endswith("faster")


def elsewhere(folder: Path) -> Path:
    """A run of another machine, in which one layer costs something else."""
    changes = {"threads": 1, "machine": replace(MACHINE, cpu="Slide rule"), "macs": 7}
    return a_run(folder, {"msa": 0.4, "hilo": 0.1}, **changes)


def test_runs_of_different_machines_are_one_table_in_which_each_ratio_is_of_its_own_run(
    attnbench: Run, tmp_path: Path
):
    before = a_run(tmp_path / "before", {"msa": 0.4, "hilo": 0.2})
    done = attnbench("compare", before, elsewhere(tmp_path / "after"), "--columns", "speed_vs_baseline,macs")
    assert done.status == 0
    lines = [line.split() for line in done.out.splitlines() if line.startswith("│ HILO")]
    assert [line[2] for line in lines] == ["(before)", "(after)"]
    assert [" ".join(line[3:]).split("│")[1:4] for line in lines] == [
        [" 500,000.0 ", " 2.00 [2.00, 2.00] ", " "], [" 0.0070 ", " ", " 4.00 [4.00, 4.00] "],
    ]  # fmt: skip
    said = " ".join(done.out.split())
    assert "they differ in cpu: Abacus → Slide rule; threads: 2 → 1. Each ratio is within its own run" in said


def test_devices_of_two_runs_are_groups_of_columns(attnbench: Run, tmp_path: Path):
    cpu = a_run(tmp_path / "cpu", {"msa": 0.4, "hilo": 0.2})
    gpu = a_run(tmp_path / "gpu", {"msa": 0.04, "hilo": 0.01}, device="cuda")
    done = attnbench("compare", cpu, gpu, "--columns", "imgs_per_s,speed_vs_baseline", "--only", "hilo")
    (line,) = (line for line in done.out.splitlines() if line.startswith("│ HILO"))
    assert [cell.split()[0] for cell in line.strip("│").split("│")] == [
        "HILO",
        "312",
        "2.00",
        "6,200",
        "4.00",
    ]


def test_what_is_to_fail_on_unlike_runs_is_refused_and_named(attnbench: Run, tmp_path: Path):
    before, after = a_run(tmp_path / "before", {"msa": 0.4, "hilo": 0.2}), elsewhere(tmp_path / "after")
    done = attnbench("compare", before, after, "--fail-on", "slower:5%")
    assert done.status == 2
    assert "500,000,000 → 7" in " ".join(done.out.split())
    assert "faster" not in done.out
    assert f"`attnbench compare {before} {after}` alone sets them side by side." in done.err


def test_runs_without_a_case_in_common_are_refused(attnbench: Run, tmp_path: Path):
    done = attnbench("compare", a_run(tmp_path / "before"), a_run(tmp_path / "after", batch=8))
    assert done.status == 2
    assert "no case in common" in done.err
    assert f"`attnbench report {tmp_path}/before {tmp_path}/after --format markdown` has a table" in done.err


ELSEWHERE = {"threads": 1, "machine": replace(MACHINE, cpu="Slide rule")}


def two_machines(folder: Path) -> tuple[Path, Path]:
    """Runs of two layers on two machines."""
    times = {"msa": 0.4, "hilo": 0.2}
    return a_run(folder / "here", times), a_run(folder / "there", times, **ELSEWHERE)


def test_two_machines_are_drawn_in_one_figure_in_the_first_ones_folder(attnbench: Run, tmp_path: Path):
    here, there = two_machines(tmp_path)
    done = attnbench("compare", here, there, "--plot", "--width", "column")
    assert done.status == 0, done.err
    said = " ".join(done.out.split())
    assert "they differ in cpu: Abacus → Slide rule; threads: 2 → 1. Each ratio is within its own run" in said
    names = {"throughput-and-there", "ratios-and-there", "flops-time-and-there"}
    assert {path.stem for path in here.glob("*.png")} == names
    assert not list(there.glob("*.png"))
    assert b"/MediaBox [ 0 0 252 " in (here / "throughput-and-there.pdf").read_bytes()


def test_a_cpu_and_a_gpu_have_no_case_in_common_and_are_drawn_all_the_same(attnbench: Run, tmp_path: Path):
    here, there = a_run(tmp_path / "here"), a_run(tmp_path / "there", device="cuda")
    done = attnbench("compare", here, there, "--figure", "throughput")
    assert done.status == 0, done.err
    assert f"{here} | {there}" in " ".join(done.out.split())
    assert {path.stem for path in here.glob("*.png")} == {"throughput-and-there"}


def test_what_is_drawn_of_two_runs_can_be_chosen(attnbench: Run, tmp_path: Path):
    here, there = two_machines(tmp_path)
    words = ("--figure", "throughput", "--only", "hilo", "--rename", "hilo=Ours", "--highlight", "hilo")
    assert attnbench("compare", here, there, *words).status == 0
    assert attnbench("compare", here, there, *words[:2], "--only", "nobody").status == 2


def test_runs_that_say_nothing_about_each_other_name_the_command_that_shows_them(
    attnbench: Run, tmp_path: Path
):
    here, there = two_machines(tmp_path)
    other = a_run(tmp_path / "other", batch=8)
    for after in (there, other):
        done = attnbench("compare", here, after, "--format", "csv")
        assert done.status == 2
        assert f"`attnbench compare {here} {after}` alone sets them side by side." in done.err


def test_two_runs_have_no_figure_over_sizes(attnbench: Run, tmp_path: Path):
    done = attnbench("compare", *two_machines(tmp_path), "--figure", "scaling")
    assert done.status == 0
    assert "Two runs have no figure of the kind scaling." in done.out


def test_runs_without_a_common_setting_cannot_be_drawn_together(attnbench: Run, tmp_path: Path):
    done = attnbench("compare", a_run(tmp_path / "one"), a_run(tmp_path / "two", batch=8), "--plot")
    assert done.status == 2
    assert "The runs have no setting in common: one has 14×14 tokens" in " ".join(done.err.split())


@pytest.mark.parametrize(("share", "status"), [("slower:7%", 3), ("slower:0.07", 3), ("slower:30%", 0)])
def test_a_run_with_a_row_that_is_slower_by_more_fails(
    attnbench: Run, tmp_path: Path, share: str, status: int
):
    run = a_run(tmp_path / "run", {"msa": 0.4, "hilo": 0.5, "sra": 0.2})  # 25 % longer
    done = attnbench("compare", run, "--fail-on", share)
    assert done.status == status
    assert ("Slower by more than 7%: HILO (cpu 14x14 batch 64)." in done.out) is (status == 3)


@pytest.mark.parametrize(("share", "status"), [("slower:20%", 3), ("slower:30%", 0)])
def test_two_runs_fail_when_the_later_is_slower_by_more(
    attnbench: Run, tmp_path: Path, share: str, status: int
):
    before = a_run(tmp_path / "before", {"msa": 0.4, "hilo": 0.2})
    after = a_run(tmp_path / "after", {"msa": 0.8, "hilo": 0.5})  # 25 % longer on a machine half as fast
    assert attnbench("compare", before, after, "--fail-on", share).status == status
    assert attnbench("compare", after, before, "--fail-on", share).status == 0


def test_without_fail_on_a_slower_row_is_no_failure(attnbench: Run, tmp_path: Path):
    done = attnbench("compare", a_run(tmp_path / "run", {"msa": 0.4, "hilo": 0.9}))
    assert done.status == 0
    assert "Slower by more" not in done.out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("faster:5%", "--fail-on is 'faster:5%'; it must be slower:SHARE, such as slower:5%."),
        ("5%", "--fail-on is '5%'; it must be slower:SHARE"),
        ("slower", "--fail-on slower is ''; it must be a share such as 2% or 0.02."),
        ("slower:much", "--fail-on slower is 'much'; it must be a share"),
        ("slower:5", "--fail-on slower is '5'; it must be a share"),
        ("slower:-5%", "--fail-on slower is '-5%'; it must be a share"),
    ],
)
def test_a_fail_on_that_says_nothing_is_the_users_mistake(
    attnbench: Run, tmp_path: Path, text: str, says: str
):
    done = attnbench("compare", a_run(tmp_path / "run"), "--fail-on", text)
    assert done.status == 2
    assert says in " ".join(done.err.split())


@pytest.mark.parametrize(("kernels", "options"), [(["explicit"], []), (["explicit", "fused"], ["--kernels"])])
def test_where_nothing_was_timed_that_is_why_nothing_is_drawn(
    attnbench: Run, tmp_path: Path, kernels: list[str], options: list[str]
):
    append(tmp_path, [record("msa", kernel=kernel, outcome="crashed", reason="why") for kernel in kernels])
    done = attnbench("compare", tmp_path, "--plot", *options)
    assert done.status == 0
    assert done.out.endswith("\nNothing was timed in this run, so nothing is drawn.\n")


def several_variants(folder: Path) -> Path:
    folder.mkdir()
    for kernel, times in {"explicit": {"msa": 0.4, "hilo": 0.2}, "fused": {"msa": 0.1, "hilo": 0.3}}.items():
        drifting = {label: [seconds * drift for drift in DRIFT] for label, seconds in times.items()}
        append(folder, block(drifting, kernel=kernel)[: 3 if kernel == "explicit" else 2])
    return folder


def test_the_matrix_sets_all_variants_beside_each_other_and_leaves_no_file(attnbench: Run, tmp_path: Path):
    run = several_variants(tmp_path / "run")
    done = attnbench("compare", run, "--kernels")
    assert done.status == 0
    line = next(line for line in done.out.splitlines() if line.startswith("│ HILO"))
    assert line.split() == ["│", "HILO", "│", "312", "—", "│", "208", "—", "0.67", "[0.67,", "0.67]", "│"]
    assert "HILO is faster than MSA in float32 explicit" in done.out
    assert {path.name for path in run.iterdir()} == {RECORDS}


def test_beside_a_matrix_what_has_one_variant_keeps_its_table(attnbench: Run, tmp_path: Path):
    run = several_variants(tmp_path / "run")
    append(run, block({"msa": [0.4] * 6, "hilo": [0.2] * 6}, height=7, block="other"))
    out = attnbench("compare", run, "--kernels").out
    assert out.count("verdict ┃") == 1


def test_the_matrix_comes_with_its_figure_and_file(attnbench: Run, tmp_path: Path):
    run = several_variants(tmp_path / "run")
    assert "kernels.csv" in attnbench("compare", run, "--kernels", "--plot", "--width", "column").out
    assert {path.name for path in run.iterdir()} == {RECORDS, "kernels.png", "kernels.pdf", "kernels.csv"}
    assert b"/MediaBox [ 0 0 252 " in (run / "kernels.pdf").read_bytes()


def test_without_the_matrix_each_variant_has_a_table(attnbench: Run, tmp_path: Path):
    out = attnbench("compare", several_variants(tmp_path / "run")).out
    assert len([line for line in out.splitlines() if line.startswith("│ HILO")]) == 2
    assert "gain" not in out


def test_a_matrix_of_one_variant_or_of_two_runs_is_the_users_mistake(attnbench: Run, tmp_path: Path):
    run = a_run(tmp_path / "run")
    done = attnbench("compare", run, "--kernels")
    assert done.status == 2
    assert "in one variant, so that there is nothing for --kernels to compare" in done.err
    assert attnbench("compare", run, run, "--kernels").status == 2


def test_a_matrix_fails_on_what_is_slower_than_its_baseline(attnbench: Run, tmp_path: Path):
    run = several_variants(tmp_path / "run")
    done = attnbench("compare", run, "--kernels", "--fail-on", "slower:50%")
    assert done.status == 3
    assert "Slower by more than 50%: HILO (cpu 14x14 batch 64, fused)." in done.out


def test_json_of_a_run_is_all_of_standard_output(attnbench: Run, tmp_path: Path):
    run = a_run(tmp_path / "run")
    done = attnbench("compare", run, "--format", "json", "--plot")
    assert done.status == 0
    answer = json.loads(done.out)
    assert answer["run"] == str(run)
    assert [row["label"] for row in answer["rows"]] == list(TIMES)
    assert "One session only" in done.err
    assert f"drawn: {run}/throughput.png" in done.err.splitlines()


def test_csv_of_a_run_is_its_table_file(attnbench: Run, tmp_path: Path):
    run = a_run(tmp_path / "run")
    write_table(rows(read(run).records), run)
    assert attnbench("compare", run, "--format", "csv").out == (run / "table.csv").read_text()


def test_another_baseline_counts_in_json_too(attnbench: Run, tmp_path: Path):
    done = attnbench("compare", a_run(tmp_path / "run"), "--baseline", "hilo", "--format", "json")
    assert {row["baseline"] for row in json.loads(done.out)["rows"]} == {"hilo"}


@pytest.mark.parametrize("form", ["csv", "json"])
def test_data_of_two_runs_that_differ_has_the_counts_and_the_refusal_is_said(
    attnbench: Run, tmp_path: Path, form: str
):
    before = a_run(tmp_path / "before", {"msa": 0.4, "hilo": 0.2})
    after = a_run(tmp_path / "after", {"msa": 0.4, "hilo": 0.1}, threads=1, macs=7)
    done = attnbench("compare", before, after, "--format", form)
    assert done.status == 2
    assert done.err.startswith("Error: The times of these runs say nothing about each other")
    if form == "json":
        answer = json.loads(done.out)
        assert answer["differences"] == [{"field": "threads", "before": "2", "after": "1"}]
        assert [case["speed_vs_before"] for case in answer["cases"]] == [None, None]
    else:
        lines = list(csv.DictReader(done.out.splitlines()))
        assert [(line["macs_before"], line["macs_after"]) for line in lines] == [("500000000", "7")] * 2
        assert [line["speed_vs_before"] for line in lines] == ["", ""]


def test_data_of_a_matrix_is_alone_on_standard_output(attnbench: Run, tmp_path: Path):
    run = several_variants(tmp_path / "run")
    done = attnbench("compare", run, "--kernels", "--format", "json", "--plot")
    assert [len(matrix["cells"]) for matrix in json.loads(done.out)["matrices"]] == [4]
    assert f"written: {run}/kernels.csv" in done.err.splitlines()
    lines = attnbench("compare", run, "--kernels", "--format", "csv").out
    assert lines == (run / "kernels.csv").read_text()


def test_what_is_slower_is_said_beside_data(attnbench: Run, tmp_path: Path):
    run = a_run(tmp_path / "run", {"msa": 0.4, "hilo": 0.5})
    done = attnbench("compare", run, "--format", "json", "--fail-on", "slower:20%")
    assert done.status == 3
    assert json.loads(done.out)["rows"]
    assert "Slower by more than 20%: HILO" in done.err
