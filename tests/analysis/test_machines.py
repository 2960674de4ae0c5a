"""A run from machines of two kinds: nothing that is compared crosses them, and both are shown."""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attnbench.analysis.crossover import crossovers
from attnbench.analysis.difference import changes, unlike
from attnbench.analysis.evidence import groups
from attnbench.analysis.orders import agreements
from attnbench.analysis.rows import measured, rows
from attnbench.analysis.variant_matrix import matrices
from attnbench.machine.fingerprint import Machine
from attnbench.paper.claims import Metric
from attnbench.records.record import Record
from attnbench.records.record_file import RecordFile, append
from attnbench.report.figure.run import setting_pages
from attnbench.report.notes import notes
from attnbench.report.paper_table import paper_tables
from tests.conftest import Run
from tests.fakes import MACHINE, block, run_of
from tests.fakes import MEMORY as CALL

SLIDE_RULE = replace(MACHINE, cpu="Slide rule")
DRIFT = (1.0, 1.3, 0.9, 1.6, 0.8, 1.1)


def on(machine: Machine, times_s: Mapping[str, float], side: int = 14, **changes: Any) -> list[Record]:
    """A block of one machine, whose rounds drift together."""
    drifting = {label: [seconds * drift for drift in DRIFT] for label, seconds in times_s.items()}
    named = f"{side} {changes} {machine}"
    return block(drifting, block=named, height=side, width=side, machine=machine, **changes)


def of_two() -> list[Record]:
    return [*on(MACHINE, {"msa": 0.4, "hilo": 0.2}), *on(SLIDE_RULE, {"msa": 0.4, "hilo": 0.1})]


def test_each_row_is_compared_with_the_baseline_of_its_own_machine():
    table = measured(rows(of_two()))
    assert [row.record.conditions.machine.cpu for row in table] == ["Abacus"] * 2 + ["Slide rule"] * 2
    assert [row.timing.speed and round(row.timing.speed.value, 6) for row in table] == [None, 2, None, 4]


def test_sizes_of_two_machines_make_no_crossover():
    ours = {"msa": 1.0, "hilo": 2.0}
    theirs = {"msa": 2.0, "hilo": 1.0}
    same = rows([*on(MACHINE, ours, 7), *on(MACHINE, theirs, 28)])
    apart = rows([*on(MACHINE, ours, 7), *on(SLIDE_RULE, theirs, 28)])
    assert (len(crossovers(same)), len(crossovers(apart))) == (1, 0)


def test_nodes_of_one_kind_are_one_machine_to_a_sweep():
    ours = on(MACHINE, {"msa": 1.0, "hilo": 2.0}, 7, node="first")
    theirs = on(MACHINE, {"msa": 2.0, "hilo": 1.0}, 28, node="second")
    assert len(crossovers(rows([*ours, *theirs]))) == 1


def test_variants_of_two_machines_make_no_matrix():
    explicit = on(MACHINE, {"msa": 0.4})
    assert len(matrices(rows([*explicit, *on(MACHINE, {"msa": 0.2}, kernel="fused")]))) == 1
    assert matrices(rows([*explicit, *on(SLIDE_RULE, {"msa": 0.2}, kernel="fused")])) == []


def test_an_order_is_that_of_one_machine():
    both = rows([*on(MACHINE, {"msa": 0.4, "hilo": 0.2}), *on(SLIDE_RULE, {"msa": 0.1, "hilo": 0.2})])
    assert [round(each.kendall_tau) for each in agreements(both)] == [1, -1]


def test_memory_of_two_machines_is_no_evidence():
    records = [*on(MACHINE, {"msa": 0.4}, memory=CALL), *on(SLIDE_RULE, {"hilo": 0.2}, memory=CALL)]
    assert [sorted(group.records) for group in groups(records, Metric.memory)] == [["msa"], ["hilo"]]


def test_two_runs_are_compared_machine_by_machine():
    before = RecordFile(Path("before"), tuple(of_two()), ())
    after = RecordFile(Path("after"), tuple(of_two()), ())
    assert unlike(before, after) == []
    found = changes(before, after, None, times=True)
    cpus = [(each.before, each.after) for each in found]
    assert all(old.record.conditions.machine == new.record.conditions.machine for old, new in cpus)
    assert len(found) == 4


def test_columns_of_a_paper_table_are_of_one_machine():
    (table,) = paper_tables([run_of("mine", of_two())])
    assert [group.heading for group in table.groups] == ["Abacus", "Slide rule"]
    assert [len(group.rows) for group in table.groups] == [2, 2]


def test_machines_of_one_processor_are_told_apart_in_a_paper_table():
    other = replace(MACHINE, governor="powersave")
    (table,) = paper_tables([run_of("mine", [*on(MACHINE, {"msa": 0.4}), *on(other, {"msa": 0.4})])])
    first, second = (group.heading for group in table.groups)
    assert first != second


def test_each_machine_has_figures_of_its_own():
    names = [drawing.name for drawing in setting_pages(rows(of_two()))]
    assert len(names) == len(set(names))
    assert sum(name.startswith("throughput") for name in names) == 2


def test_a_note_says_that_there_are_two_and_what_each_measured():
    (line, *_) = notes(rows(of_two()))
    assert line.startswith("Measured on 2 kinds of machine")
    assert "2 rows on Abacus" in line
    assert "2 rows on Slide rule" in line
    assert not any("kinds of machine" in line for line in notes(rows(on(MACHINE, {"msa": 0.4, "hilo": 0.2}))))


def test_compare_shows_a_table_of_each_machine(attnbench: Run, tmp_path: Path):
    append(tmp_path, of_two())
    out = attnbench("compare", tmp_path).out
    assert out.count("Abacus (2 cores)") > 0
    assert out.count("Slide rule (2 cores)") > 0
    assert ("2.00 [2.00, 2.00]" in out, "4.00 [4.00, 4.00]" in out) == (True, True)


@pytest.mark.parametrize("form", ["csv", "markdown"])
def test_a_report_has_the_rows_of_both(attnbench: Run, tmp_path: Path, form: str):
    append(tmp_path, of_two())
    out = attnbench("report", tmp_path, "--format", form).out
    assert "Slide rule" in out
    assert "Abacus" in out


def test_rows_for_programs_name_their_processor(attnbench: Run, tmp_path: Path):
    append(tmp_path, of_two())
    lines = csv.DictReader(io.StringIO(attnbench("compare", tmp_path, "--format", "csv").out))
    assert [line["processor"] for line in lines] == ["Abacus"] * 2 + ["Slide rule"] * 2
