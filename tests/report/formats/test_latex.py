"""LaTeX tables."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from attnbench.analysis.analysis import Analysis
from attnbench.cases.case import Role
from attnbench.records.record import Record
from attnbench.records.record_file import read
from attnbench.report import columns
from attnbench.report.columns import THROUGHPUT
from attnbench.report.formats.latex import document, latex
from attnbench.report.spread import Spread
from attnbench.report.table_style import TableStyle
from tests.fakes import MACHINE, MEMORY, block, changed, record, run_of

RESULTS = Path(__file__).parents[3] / "results"
SPREAD = [0.99, 1.0, 1.01] * 6
TIMES = {
    "msa": [0.4 * s for s in SPREAD],
    "hilo": [0.2 * s for s in SPREAD],
    "sra": [0.25 * s for s in SPREAD],
}
FASTER = {label: [time / 100 for time in times] for label, times in TIMES.items()}
AWKWARD = "100 % of a_b & {c} #1 $x^2$ ~ \\ < > | × α é — «5 ≥ 4»"


def runs(**records: Sequence[Record]) -> list[Analysis]:
    return [run_of(name, found) for name, found in records.items()]


def cells(text: str, title: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"    {title} &"))
    return [cell.strip() for cell in line.removesuffix("\\\\").split(" & ")]


def test_values_have_their_intervals_in_a_column_of_their_own():
    text = latex(runs(mine=block(TIMES, batch=8)))
    assert "\\begin{tabular}{lrrr@{}lr@{}ll}" in text
    assert cells(text, "MSA") == [
        "MSA", "$1.00$", "$500.0$", "$20.0$", "$^{+0.2}_{-0.2}$", "$1.00$", "",
        "baseline",
    ]  # fmt: skip


def test_a_share_has_no_brackets_below_its_title(monkeypatch: pytest.MonkeyPatch):
    share = replace(THROUGHPUT, title="Share", unit="")
    monkeypatch.setattr(columns, "QUANTITIES", (share,))
    text = latex(runs(mine=block(TIMES, batch=8)))
    assert "Share" in text
    assert "()" not in text


def test_the_best_value_of_a_column_is_bold_and_the_second_best_underlined():
    counts = {"msa": (3, 5), "hilo": (2, 4), "sra": (1, 6)}
    records = [
        changed(found, params=counts[found.case.label][0] * 10**6, macs=counts[found.case.label][1] * 10**8)
        for found in block(TIMES, batch=8)
    ]
    text = latex(runs(mine=records))
    assert cells(text, "HILO")[1:4] == ["$\\underline{2.00}$", "$\\mathbf{400.0}$", "$\\mathbf{40.0}$"]
    assert cells(text, "SRA")[1:4] == ["$\\mathbf{1.00}$", "$600.0$", "$\\underline{32.0}$"]
    assert cells(text, "MSA")[1:4] == ["$3.00$", "$\\underline{500.0}$", "$20.0$"]


def test_values_that_tie_are_all_bold():
    counts = {"a": 1, "b": 1, "c": 2, "d": 3}
    text = latex(runs(mine=[record(name, params=count * 10**6, batch=8) for name, count in counts.items()]))
    assert [cells(text, name)[1] for name in "ABCD"] == [
        "$\\mathbf{1.00}$", "$\\mathbf{1.00}$", "$\\underline{2.00}$", "$3.00$",
    ]  # fmt: skip


def test_headings_have_titles_and_units_below_them():
    text = latex(runs(mine=block(TIMES, batch=8, memory=MEMORY)))
    assert cells(text, "Mechanism") == [
        "Mechanism", "Params", "FLOPs", "Memory", "\\multicolumn{2}{c}{Throughput}",
        "\\multicolumn{2}{c}{Speed-up}", "Verdict",
    ]  # fmt: skip
    assert (
        "     & (M) & (M) & (MiB) & \\multicolumn{2}{c}{(img/s)} & \\multicolumn{2}{c}{($\\times$ MSA)}"
        in text
    )


def test_the_papers_columns_stand_beside_ours_in_its_setting():
    text = latex(runs(mine=block(TIMES)))
    assert cells(text, "HILO") == [
        "HILO", "$1.00$", "2.20", "$500.0$", "298.3", "$\\mathbf{320}$", "$^{+3}_{-3}$", "1,029",
        "$\\mathbf{2.00}$", "$^{+0.00}_{-0.00}$", "2.04", "faster",
    ]  # fmt: skip


def test_several_groups_have_headings_with_rules_below_them():
    text = latex(runs(mine=[*block(TIMES, batch=8), *block(FASTER, device="cuda", block="gpu", batch=8)]))
    assert "     &  &  & \\multicolumn{5}{c}{CPU} & \\multicolumn{5}{c}{GPU} \\\\\n" in text
    assert "    \\cmidrule(lr){4-8} \\cmidrule(lr){9-13}\n" in text
    assert "cmidrule" not in latex(runs(mine=block(TIMES)))


def test_two_runs_are_groups_that_do_not_collide():
    text = latex(runs(before=block(TIMES, batch=8), later_on=block(FASTER, batch=8)))
    assert "\\multicolumn{5}{c}{before} & \\multicolumn{5}{c}{later\\_on}" in text
    assert cells(text, "MSA")[3::5] == ["$20.0$", "$2{,}000$"]


def test_a_group_without_the_mechanism_has_dashes():
    text = latex(runs(before=block(TIMES, batch=8), after=[record("msa", TIMES["msa"], batch=8)]))
    assert cells(text, "SRA")[-2:] == ["\\multicolumn{2}{c}{\\textit{---}}", "\\textit{---}"]


def test_marks_are_set_as_relations():
    wide = block({"msa": [0.3, 0.5] * 9}, batch=8, uncounted=("aten::cdist",))
    text = latex(runs(mine=wide))
    assert cells(text, "MSA")[2:4] == ["${\\geq}\\,500.0$", "${\\sim}20$"]
    assert "$\\sim$ = not within $\\pm$2 \\% when time was over." in text
    limits = [record(name, [9.0] * 18, mechanism=name, role=Role.ceiling) for name in ("matmul", "copy")]
    assert cells(latex(runs(mine=[*wide, *limits])), "MSA")[3] == "${!}\\,20$"


def test_a_row_without_a_time_says_what_became_of_it_and_why():
    failed = record("van", batch=8, outcome="out_of_memory", reason="it needs 9 GiB")
    text = latex(runs(mine=[*block(TIMES, batch=8), failed]))
    assert cells(text, "VAN")[3:] == [
        "\\multicolumn{2}{c}{\\textit{out of memory}}", "\\multicolumn{2}{c}{\\textit{---}}", "---",
    ]  # fmt: skip
    assert "VAN (cpu 14x14 batch 8): out of memory: it needs 9 GiB." in text


def test_a_caption_says_setting_machine_software_and_protocol():
    text = latex(runs(mine=block(TIMES)))
    assert (
        "\\caption{14$\\times$14 tokens, dim 768, 12 heads, batch 64, float32, explicit kernel, inference."
        in text
    )
    assert "Abacus (2 cores), 2 threads, AVX2, torch 2.13.0, Python 3.11, Linux 6, attnbench 0.1.0." in text
    assert (
        "Medians of 18 paired rounds in 1 session, 95 \\% bootstrap intervals; noise floor $\\pm$0.0 \\%"
        in text
    )
    assert "Bold = best, underlined = second best of a column" in text


def test_a_bare_table_has_a_caption_of_one_line_and_the_rest_as_comments():
    text = latex(runs(mine=block(TIMES)), TableStyle(bare=True, placement="table"))
    assert (
        "\\caption{14$\\times$14 tokens, dim 768, 12 heads, batch 64, float32, explicit kernel, inference.}"
        in text
    )
    before, _, inside = text.partition("\\begin{table}\n")
    assert "% Abacus (2 cores), 2 threads" in before
    assert "Abacus" not in inside
    assert inside.endswith("\\end{table}\n")


def test_no_machine_is_named_twice_in_a_row():
    other = replace(MACHINE, cpu="Slide rule")
    text = latex(runs(one=block(TIMES), two=block(TIMES, machine=other)))
    assert "Abacus (2 cores), 2 threads" in text
    assert "Abacus: Abacus" not in text
    third = latex(runs(one=block(TIMES), two=block(TIMES, machine=other), three=block(TIMES)))
    assert third.count("Abacus (2 cores)") == 1
    assert "one, three: Abacus (2 cores)" in third


def test_a_deviation_stands_behind_its_value():
    style = TableStyle(spread=Spread.std, latency=True)
    text = latex(runs(mine=block(TIMES, batch=8)), style)
    assert cells(text, "MSA")[3:5] == ["$400$", "$\\pm3$"]
    assert "Means of 18 paired rounds in 1 session, $\\pm$ one standard deviation of their samples" in text
    assert "small numbers" not in text


def test_each_setting_has_a_table_with_a_label_of_its_own():
    assert "\\label{tab:my-run}" in latex([run_of("My_run", block(TIMES))])
    text = latex(runs(mine=[record("msa", height=7), record("msa", dtype="bfloat16", heads=6)]))
    assert "\\label{tab:mine-7x14-dim-768-12-heads-batch-64-inference}" in text
    assert "\\label{tab:mine-14x14-dim-768-6-heads-batch-64-inference-bfloat16}" in text


def test_tables_of_several_numbers_of_threads_have_labels_of_their_own():
    found = [record("msa", TIMES["msa"], threads=count) for count in (1, 2)]
    labels = re.findall(r"label\{tab:mine-(.*)\}", latex([run_of("mine", found)]))
    assert [label.rpartition("-inference-")[2] for label in labels] == ["1-thread", "2-threads"]


def test_tables_name_the_package_that_they_need_and_a_document_loads_it():
    found = runs(mine=block(TIMES))
    assert latex(found).startswith("% Needs \\usepackage{booktabs}.\n\\begin{table*}")
    whole = document(found)
    assert whole.startswith("\\documentclass")
    assert "\\usepackage{booktabs}" in whole
    assert whole.endswith("\\end{table*}\n\\end{document}\n")


def test_a_document_with_several_groups_lies_on_its_side():
    both = runs(mine=[*block(TIMES), *block(FASTER, device="cuda", block="gpu")])
    assert "landscape" in document(both)
    assert "landscape" not in document(runs(mine=block(TIMES)))


def test_a_table_is_ascii_whatever_plugins_are_called():
    text = latex(runs(mine=block(TIMES, title=AWKWARD, machine=replace(MACHINE, cpu="Zuse™ Z3 µ"))))
    assert "100 \\% of a\\_b \\& \\{c\\} \\#1" in text
    assert text.replace("™", "").isascii()


def test_what_only_other_engines_can_set_is_said():
    assert latex(runs(mine=[record("x", title="注意")])).splitlines()[1] == (
        "% pdflatex cannot set 意 注; xelatex and lualatex can, with a font that has it."
    )


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not on the path")
@pytest.mark.parametrize("kind", ["kept", "two", "awkward"])
def test_pdflatex_sets_a_document_without_a_word(kind: str, tmp_path: Path):
    kept = run_of("table-iv-cpu", read(RESULTS / "table-iv-cpu").records)
    awkward = [*block(TIMES, title=f"[*] {AWKWARD[:16]}"), record("van", outcome="crashed", reason=AWKWARD)]
    found = {
        "kept": [kept],
        "two": [kept, *runs(gpu=block(FASTER, device="cuda"))],
        "awkward": runs(mine=awkward),
    }[kind]
    (tmp_path / "table.tex").write_text(document(found), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout
