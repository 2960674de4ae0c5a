"""Table IV's shape for one run, or several."""

from dataclasses import replace
from typing import Any

from attnbench.analysis.analysis import Analysis
from attnbench.cases.case import Mode
from attnbench.records.record import Record
from attnbench.report.column import Standing
from attnbench.report.columns import FLOPS, MEMORY, PARAMS, SPEED, THROUGHPUT
from attnbench.report.fields import VERDICT
from attnbench.report.paper_table import PaperTable, paper_tables
from attnbench.report.table_style import TableStyle, read_columns, table_column
from tests.fakes import MACHINE, block, record, run_of
from tests.fakes import MEMORY as CALL

VERDICTS = table_column(VERDICT)
TIMES = {"msa": [0.4] * 6, "hilo": [0.2] * 6, "sra": [0.3] * 6}


def run(name: str, *records: Record, baseline: str | None = None) -> Analysis:
    return run_of(name, records, baseline)


def cpu(**changes: Any) -> list[Record]:
    return block(TIMES, **changes)


def gpu(**changes: Any) -> list[Record]:
    fast = {label: [time / 100 for time in times] for label, times in TIMES.items()}
    return block(fast, device="cuda", block="gpu", **changes)


def only(*runs: Analysis) -> PaperTable:
    (paper_table,) = paper_tables(runs)
    return paper_table


def headings(*runs: Analysis) -> list[str]:
    return [group.heading for group in only(*runs).groups]


def test_devices_of_a_run_stand_side_by_side():
    paper_table = only(run("mine", *cpu(), *gpu()))
    assert [group.heading for group in paper_table.groups] == ["CPU", "GPU"]
    assert [line.title for line in paper_table.lines] == ["MSA", "HILO", "SRA"]
    assert [[row and row.device for row in line.rows] for line in paper_table.lines] == [["cpu", "cuda"]] * 3


def test_groups_are_called_by_the_fewest_words_that_tell_them_apart():
    other = cpu(machine=replace(MACHINE, cpu="Slide rule"))
    assert headings(run("here", *cpu()), run("there", *gpu())) == ["CPU", "GPU"]
    assert headings(run("here", *cpu()), run("there", *other)) == ["Abacus", "Slide rule"]
    assert headings(run("before", *cpu()), run("after", *cpu())) == ["before", "after"]
    assert headings(run("before", *cpu(), *gpu()), run("after", *cpu())) == [
        "before, CPU", "before, GPU", "after, CPU",
    ]  # fmt: skip


def test_a_mechanism_that_a_run_lacks_has_no_row_in_its_group():
    paper_table = only(run("one", *cpu()), run("two", record("van", [0.1] * 6), record("hilo", [0.1] * 6)))
    there = {line.title: [row is not None for row in line.rows] for line in paper_table.lines}
    assert there == {"MSA": [True, False], "HILO": [True, True], "SRA": [True, False], "VAN": [False, True]}


def test_a_mechanism_whose_code_costs_something_else_in_a_run_has_a_line_for_each():
    paper_table = only(run("old", record("mine", macs=10**6)), run("new", record("mine", macs=10**7)))
    assert [line.title for line in paper_table.lines] == ["MINE (old)", "MINE (new)"]
    assert [FLOPS.text(line.counted) for line in paper_table.lines] == ["1.0", "10.0"]


def test_a_case_that_was_not_counted_stands_on_the_line_of_the_one_that_was():
    failed = record("mine", outcome="crashed", params=None, macs=None, device="cuda")
    (line,) = only(run("one", failed, record("mine", [0.1] * 6))).lines
    assert (line.title, PARAMS.text(line.counted)) == ("MINE", "1.00")
    assert all(line.rows)


def test_each_setting_is_a_sheet_of_its_own():
    records = [
        record("msa", height=7),
        record("msa", mode=Mode.training),
        record("msa", batch=4),
        record("msa", dtype="bfloat16"),
        record("hilo", height=7),
    ]
    assert [len(paper_table.lines) for paper_table in paper_tables([run("mine", *records)])] == [2, 1, 1, 1]


def test_a_group_has_the_same_heading_on_all_sheets():
    small = run("small", record("msa", height=7))
    both = paper_tables([small, run("both", record("msa", height=7), record("msa", height=28))])
    assert [[group.heading for group in paper_table.groups] for paper_table in both] == [
        ["small", "both"],
        ["both"],
    ]


def test_columns_are_those_that_have_values():
    paper_table = only(run("mine", *cpu(batch=8), *gpu(batch=8, memory=CALL)))
    assert [[field.column for field in paper_table.fields(place)] for place in paper_table.indices] == [
        [PARAMS, FLOPS], [THROUGHPUT, SPEED, VERDICTS], [MEMORY, THROUGHPUT, SPEED, VERDICTS],
    ]  # fmt: skip
    (failed,) = paper_tables([run("mine", record("msa", outcome="crashed", batch=8))])
    assert [field.column for field in failed.fields(0)] == [THROUGHPUT]


def test_the_papers_columns_stand_beside_ours_in_its_setting():
    paper_table = only(run("mine", *cpu()))
    fields = [field for place in paper_table.indices for field in paper_table.fields(place)]
    assert [(field.column, field.is_paper) for field in fields] == [
        (PARAMS, False), (PARAMS, True), (FLOPS, False), (FLOPS, True),
        (THROUGHPUT, False), (THROUGHPUT, True), (SPEED, False), (SPEED, True), (VERDICTS, False),
    ]  # fmt: skip


def test_places_are_those_of_a_group_and_the_papers_numbers_have_none():
    paper_table = only(run("mine", *cpu()))
    throughput, paper, *_ = paper_table.fields(0)
    assert paper_table.standings(throughput) == [None, Standing.best, Standing.second]
    assert paper_table.standings(paper) == [None, None, None]


def test_a_group_names_its_baseline_by_its_title():
    records = [record("hilo", [0.2] * 6, title="HiLo"), *block({"msa": [0.4] * 6}, title="MSA")]
    assert only(run("mine", *records)).groups[0].baselines == "MSA"
    assert only(run("mine", *records, baseline="hilo")).groups[0].baselines == "HiLo"


def pivot(*records: Record) -> PaperTable:
    (paper_table,) = paper_tables([run("mine", *records)], TableStyle(pivot=True))
    return paper_table


def test_a_pivot_is_one_table_of_all_settings_which_are_called_by_what_they_differ_in():
    large = cpu(height=28, width=28, block="large", macs=10**9, batch=8)
    paper_table = pivot(*cpu(batch=8), *large)
    assert [group.heading for group in paper_table.groups] == ["14×14 tokens", "28×28 tokens"]
    assert paper_table.setting == "dim 768, 12 heads, batch 8, float32, explicit kernel, inference"
    assert [line.title for line in paper_table.lines] == ["MSA", "HILO", "SRA"]
    assert [field.column for field in paper_table.fields(None)] == [PARAMS]
    assert [field.column for field in paper_table.fields(1)] == [THROUGHPUT, SPEED]


def test_a_pivot_of_devices_and_settings_tells_both():
    assert [group.heading for group in pivot(*cpu(), *gpu(), *cpu(batch=8, block="small")).groups] == [
        "CPU, batch 64", "GPU, batch 64", "CPU, batch 8",
    ]  # fmt: skip


def test_counts_that_settings_do_not_share_can_be_asked_for_in_each():
    large = cpu(height=28, width=28, block="large", macs=10**9)
    style = TableStyle(read_columns(["macs", "params"]), pivot=True)
    (paper_table,) = paper_tables([run("mine", *cpu(), *large)], style)
    assert [[field.column.name for field in paper_table.fields(place)] for place in paper_table.indices] == [
        ["params"], ["macs"], ["macs"],
    ]  # fmt: skip
