"""`--columns`, `--spread` and `--latency` of compare and report, in every form."""

import csv
import io
from pathlib import Path

import pytest

from attnbench.records.record_file import append
from tests.conftest import Run
from tests.fakes import block, record
from tests.report.html.reading import Page

SPREAD = [0.99, 1.0, 1.01] * 6
TIMES = {"msa": [0.4 * s for s in SPREAD], "hilo": [0.2 * s for s in SPREAD]}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    append(folder, block(TIMES))
    return folder


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def cells(text: str, begins: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(begins))
    return [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]


def test_a_table_has_the_columns_that_are_asked_for_in_their_order(attnbench: Run, run: Path):
    out = attnbench("compare", run, "--columns", "verdict,time_s,rounds,params_published").out
    assert cells(out, "┃ Mechanism") == ["Mechanism", "verdict", "CPU ms [95 %]", "rounds", "paper"]
    assert cells(out, "│ HILO") == ["HILO", "faster", "200 [198, 202]", "18", "2.20"]


def test_a_table_that_is_asked_for_has_all_its_columns_however_narrow(
    attnbench: Run, run: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "40")
    out = attnbench("compare", run, "--columns", "params,macs,memory_bytes,time_s,imgs_per_s,verdict").out
    assert "left out" not in out
    assert out.count("verdict") >= 1
    assert out.count("Mechanism") > 1


@pytest.mark.parametrize(
    ("spread", "heading", "cell"),
    [
        ("ci", "CPU ms [95 %]", "200 [198, 202]"),
        ("std", "CPU ms ± std", "200 ± 2"),
        ("iqr", "CPU ms [IQR]", "200 [198, 202]"),
    ],
)
def test_what_stands_behind_values_is_named(attnbench: Run, run: Path, spread: str, heading: str, cell: str):
    out = attnbench("compare", run, "--latency", "--spread", spread).out
    assert heading in cells(out, "┃ Mechanism")
    assert cell in cells(out, "│ HILO")


def test_a_variant_matrix_has_times_too(attnbench: Run, run: Path):
    append(run, block(TIMES, kernel="fused", block="other"))
    assert "ms" in attnbench("compare", run, "--kernels", "--latency").out.split()
    done = attnbench("compare", run, "--kernels", "--columns", "params")
    assert (done.status, done.err) == (
        2, "Error: --kernels has columns of its own; leave out --columns and --spread.\n"
    )  # fmt: skip


def test_two_runs_have_times_before_and_after(attnbench: Run, run: Path):
    out = attnbench("compare", run, run, "--latency").out
    assert "ms before [95 %]" in cells(out, "┃ Mechanism")


def test_csv_has_the_columns_that_are_asked_for_under_its_own_names(attnbench: Run, run: Path):
    out = attnbench("compare", run, "--columns", "label,time_s,macs", "--format", "csv").out
    assert out.splitlines()[0] == "label,time_s,time_s_low,time_s_high,macs"


def test_the_long_csv_has_a_line_for_each_number_that_is_asked_for(attnbench: Run, run: Path):
    found = lines(attnbench("report", run, "--columns", "macs,time_s,verdict").out)
    assert [(line["label"], line["metric"]) for line in found] == [
        ("msa", "macs"), ("msa", "time_s"), ("hilo", "macs"), ("hilo", "time_s"),
    ]  # fmt: skip
    assert found[0].keys() == lines(attnbench("report", run).out)[0].keys()
    done = attnbench("report", run, "--columns", "verdict")
    assert (done.status, "names no number" in done.err) == (2, True)


def test_the_wide_csv_has_groups_of_what_is_asked_for(attnbench: Run, run: Path):
    out = attnbench("report", run, "--wide", "--columns", "label,imgs_per_s,verdict").out
    assert out.splitlines()[0] == "label,cpu_imgs_per_s,cpu_imgs_per_s_low,cpu_imgs_per_s_high,cpu_verdict"


def test_a_page_has_the_columns_that_are_asked_for_in_their_order(attnbench: Run, run: Path):
    append(run, [record("van", outcome="out_of_memory", reason="it needs 14 GiB", block="other")])
    asked = "time_s,verdict,rounds,imgs_per_s_published,params"
    found = Page(attnbench("report", run, "--format", "html", "--columns", asked).out)
    heads, _, hilo, van = ([cell.text for cell in line] for line in found.lines)
    assert heads == ["Mechanism", "Timems", "Verdict", "Rounds", "Throughput, paperimg/s", "ParamsM"]
    assert hilo == ["HILO", "200", "[198, 202]", "faster", "18", "1,029", "1.00"]
    assert van[1:4] == ["—", "", "out of memoryit needs 14 GiB"]
    assert [each.text for each in found.all("dt")][-5:] == [
        "Time (ms)", "Verdict", "Rounds", "Throughput, paper", "Params (M)",
    ]  # fmt: skip
    assert f"--columns {asked}" in next(each.text for each in found.all("footer"))


def test_a_page_without_verdicts_says_in_another_column_what_became_of_a_row(attnbench: Run, run: Path):
    append(run, [record("van", outcome="out_of_memory", block="other")])
    found = Page(attnbench("report", run, "--format", "html", "--columns", "imgs_per_s").out)
    assert [cell.text for cell in found.lines[-1]][:2] == ["VAN", "out of memory"]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["compare", "--format", "csv", "--spread", "std"], "--spread is for tables, not for csv"),
        (["compare", "--format", "csv", "--latency"], "--latency is for tables, not for csv"),
        (["compare", "--format", "json", "--columns", "macs"], "--columns is for tables, not for json"),
        (
            ["report", "--spread", "iqr"],
            "--spread is for markdown or latex, not for csv: x_low and x_high are",
        ),
        (
            ["report", "--format", "json", "--columns", "macs"],
            "--columns is for csv or markdown or latex or html, not for json",
        ),
        (["report", "--format", "html", "--latency"], "--latency is for markdown or latex, not for html"),
        (["report", "--format", "markdown", "--float", "table"], "--float is for latex, not for markdown"),
        (["report", "--format", "tex", "--float", "box"], "--float is 'box'; it can be table*, table."),
        (["compare", "--spread", "sd"], "--spread is 'sd'; it can be ci, std, iqr. Did you mean 'std'?"),
        (["compare", "--columns", "speed"], "Did you mean 'speed-up'?"),
    ],
)
def test_what_a_form_has_no_use_for_is_a_mistake_in_the_call(
    attnbench: Run, run: Path, command: list[str], says: str
):
    name, *words = command
    done = attnbench(name, run, *words)
    assert done.status == 2
    assert says in " ".join(done.err.split())


@pytest.mark.parametrize("name", ["tex", "latex"])
def test_a_format_has_its_short_name_too(attnbench: Run, run: Path, name: str):
    assert "\\begin{table}" in attnbench("report", run, "--format", name, "--float", "table").out
