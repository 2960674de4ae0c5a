"""Two runs side by side: which times are compared, with what, and which are not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attnbench.analysis.difference import Change, changes, in_words, unlike
from attnbench.cases.case import Role
from attnbench.errors import AttnbenchError
from attnbench.machine.allocator import KEEP_FREED_MEMORY
from attnbench.records.record import Record
from attnbench.records.record_file import RecordFile
from attnbench.report.export import change_line
from attnbench.statistics import Verdict
from tests.fakes import MACHINE, block, changed, exactly, record

STEADY = [1.0] * 12


def a_run(records: Sequence[Record]) -> RecordFile:
    return RecordFile(Path("run"), tuple(records), ())


def compared(
    before: Sequence[Record], after: Sequence[Record], baseline: str | None = None
) -> dict[str, Change]:
    found = changes(a_run(before), a_run(after), baseline, times=True)
    return {change.after.record.case.label: change for change in found}


def differing(**changes: Any) -> list[str]:
    before = record("msa", STEADY)
    return [name for name, _, _ in unlike(a_run([before]), a_run([changed(before, **changes)]))]


def test_a_machine_that_is_slower_meanwhile_cancels_out():
    before = block({"msa": STEADY, "hilo": [0.5] * 12})
    after = block({"msa": [1.2] * 12, "hilo": [0.6] * 12})
    assert compared(before, after)["hilo"].speed == exactly(1.0)
    assert compared(before, after)["hilo"].verdict is Verdict.same


def test_a_layer_that_became_faster_is_faster_on_a_machine_that_is_slower():
    before = block({"msa": STEADY, "hilo": [0.5] * 12})
    after = block({"msa": [1.2] * 12, "hilo": [0.3] * 12})
    assert compared(before, after)["hilo"].speed == exactly(2.0)
    assert compared(before, after)["hilo"].verdict is Verdict.faster
    assert compared(after, before)["hilo"].verdict is Verdict.slower


def test_a_layer_whose_time_is_impossible_has_become_neither_faster_nor_slower():
    limits = [changed(record(name, STEADY), role=Role.ceiling, mechanism=name) for name in ("matmul", "copy")]
    before = [*block({"msa": [1.5] * 12, "hilo": STEADY}), *limits]
    after = [*block({"msa": [1.5] * 12, "hilo": [0.5] * 12}), *limits]
    found = compared(before, after)["hilo"]
    assert (found.speed, found.verdict) == (exactly(2.0), Verdict.unclear)
    relative = compared(
        [*block({"msa": [0.5] * 12, "hilo": [1.5] * 12}), *limits],
        [*block({"msa": [0.5] * 12, "hilo": [3.0] * 12}), *limits],
    )
    assert relative["hilo"].verdict is Verdict.unclear


@pytest.mark.parametrize("label", ["msa", "hilo"])
@pytest.mark.parametrize(("old_s", "new_s"), [(0.5, 4.0), (4.0, 0.5)])
def test_a_time_that_is_impossible_in_one_run_alone_gives_no_verdict(label: str, old_s: float, new_s: float):
    limits = [changed(record(name, STEADY), role=Role.ceiling, mechanism=name) for name in ("matmul", "copy")]
    before, after = (
        [*block({"msa": [1.5] * 12, "hilo": [3.0] * 12} | {label: [time_s] * 12}), *limits]
        for time_s in (old_s, new_s)
    )
    assert compared(before, after)["hilo"].verdict is Verdict.unclear


def test_the_baseline_itself_shows_the_machine_and_has_no_verdict():
    control = compared(block({"msa": STEADY}), block({"msa": [1.25] * 12}))["msa"]
    assert control.control
    assert (control.speed, control.verdict) == (exactly(0.8), None)


def test_a_baseline_whose_code_changed_is_no_control():
    before = block({"msa": STEADY, "hilo": [0.5] * 12})
    after = block({"msa": [1.25] * 12, "hilo": [0.25] * 12})
    after = [changed(found, source="other source") if found.case.label == "msa" else found for found in after]
    found = compared(before, after)
    assert [found[name].speed for name in ("msa", "hilo")] == [exactly(0.8), exactly(2.0)]
    assert [found[name].verdict for name in ("msa", "hilo")] == [Verdict.slower, Verdict.faster]
    assert not found["msa"].control


def test_runs_with_different_baselines_are_compared_plainly():
    before = block({"msa": STEADY, "hilo": [0.5] * 12})
    after = block({"hilo": [0.25] * 12, "msa": STEADY})
    assert compared(before, after)["hilo"].speed == exactly(2.0)
    assert not compared(before, after)["msa"].control


def test_another_baseline_can_be_asked_for():
    before = block({"msa": STEADY, "hilo": STEADY})
    after = block({"msa": [1.2] * 12, "hilo": [1.5] * 12})
    found = compared(before, after, "hilo")
    assert found["hilo"].control
    assert found["msa"].speed == exactly(1.25)


def test_a_baseline_that_one_run_lacks_is_the_users_mistake():
    with_hilo, without = block({"msa": STEADY, "hilo": STEADY}), block({"msa": STEADY})
    runs = RecordFile(Path("with"), tuple(with_hilo), ()), RecordFile(Path("without"), tuple(without), ())
    for before, after in (runs, runs[::-1]):
        with pytest.raises(AttnbenchError, match="'hilo' is not in the run in without;"):
            changes(before, after, "hilo", times=True)


def test_a_control_without_a_row_is_a_baseline_too():
    before = block({"msa": STEADY, "hilo": STEADY})
    msa, *others = block({"msa": [1.2] * 12, "hilo": [1.2] * 12})
    found = compared(before, [changed(msa, role=Role.control), *others])
    assert list(found) == ["hilo"]
    assert found["hilo"].speed == exactly(1.0)


@pytest.mark.parametrize("code", ["source", "other source"])
def test_noise_of_both_runs_counts_whether_their_baselines_are_the_same_or_not(code: str):
    before, after = (block({"msa": STEADY, "hilo": [time] * 12}) for time in (1.0, 1.06))
    after = [changed(each, source=code) if each.case.label == "msa" else each for each in after]
    before[-1] = replace(before[-1], samples=record("msa", [1.03] * 12).samples)
    assert compared(before, after)["hilo"].verdict is Verdict.slower  # 6 % over a floor of 3 %
    after[-1] = replace(after[-1], samples=record("msa", [1.055] * 12).samples)
    assert compared(before, after)["hilo"].verdict is Verdict.unclear  # 6 % under √(3² + 5.5²) = 6.3 %


def test_rounds_are_paired_with_the_baseline_of_their_own_run():
    drift = [1.0, 1.5, 2.0, 0.5] * 3
    before = block({"msa": drift, "hilo": [0.5 * d for d in drift]})
    after = block({"msa": drift[::-1], "hilo": [0.5 * d for d in drift[::-1]]})
    assert compared(before, after)["hilo"].speed == exactly(1.0)


def test_verdicts_of_all_cases_are_corrected_together():
    few = [block({"msa": [1.0] * 5, "hilo": [time] * 5}) for time in (1.0, 1.2)]  # p = 0.01 alone
    others = [found for n in range(1, 21) for found in block({"msa": STEADY, "hilo": STEADY}, block=str(n),
                                                             height=n, width=99)]  # fmt: skip
    among = changes(a_run(few[0] + others), a_run(few[1] + others), None, times=True)
    assert compared(few[0], few[1])["hilo"].verdict is Verdict.slower
    assert among[1].verdict is Verdict.unclear


def test_only_cases_of_both_runs_are_set_side_by_side():
    before = block({"msa": STEADY, "hilo": STEADY})
    after = block({"msa": STEADY, "sra": STEADY})
    assert list(compared(before, after)) == ["msa"]
    assert compared(before, [changed(found, batch=8) for found in before]) == {}


def test_a_case_that_has_no_time_in_one_run_is_not_compared():
    before = block({"msa": STEADY, "hilo": STEADY, "sra": [0.5] * 12})
    msa, hilo, sra, twin = block({"msa": STEADY, "hilo": (), "sra": STEADY})
    found = compared(before, [msa, replace(hilo, outcome="out_of_memory"), sra, twin])
    assert (found["hilo"].speed, found["hilo"].verdict) == (None, None)
    assert change_line(found["hilo"])["control"] is False
    assert found["sra"].verdict is Verdict.slower


def test_without_times_there_are_cases_and_nothing_else():
    run = a_run(block({"msa": STEADY, "hilo": STEADY}))
    found = changes(run, run, None, times=False)
    assert [change.after.record.case.label for change in found] == ["msa", "hilo"]
    assert {change.speed for change in found} == {None}


def test_runs_are_unlike_where_something_decides_their_times():
    assert differing() == []
    assert differing(machine=replace(MACHINE, torch="2.14.0")) == ["torch"]
    assert differing(machine=replace(MACHINE, cpu="Slide rule")) == ["cpu"]
    assert differing(threads=1) == ["threads"]
    assert differing(threads=1, flags={"threads": "2"}) == ["threads"]
    assert differing(flags={"mkldnn.enabled": "False"}) == ["mkldnn.enabled"]
    assert differing(threads=1, machine=replace(MACHINE, cpu="Slide rule")) == ["cpu", "threads"]


def test_what_decides_no_time_does_not_make_runs_unlike():
    assert differing(machine=replace(MACHINE, attnbench="9", commit="abc", gpu="Jacquard")) == []
    assert differing(started_at="2027-01-01T00:00:00+00:00", source="other source") == []
    assert differing(flags={"emulated.bfloat16": "4.1"}) == []  # measured anew in each run


def test_a_difference_is_told_once_with_both_values():
    before = block({"msa": STEADY, "hilo": STEADY})
    after = [changed(found, threads=1) for found in before]
    assert unlike(a_run(before), a_run(after)) == [("threads", "2", "1")]


def environments(before: dict[str, str], after: dict[str, str]) -> str:
    """What is said of two runs with these variables."""
    old, new = (record("msa", STEADY, machine=replace(MACHINE, environment=each)) for each in (before, after))
    return in_words(unlike(a_run([old]), a_run([new])))


def test_variables_that_differ_are_told_as_a_shell_sets_them_and_the_allocator_by_its_name():
    mine = {"OMP_DYNAMIC": "TRUE", "OMP_NESTED": "TRUE"}
    assert environments(KEEP_FREED_MEMORY, {}) == "allocator: kept → system"
    assert environments({}, mine) == "environment: — → OMP_DYNAMIC=TRUE OMP_NESTED=TRUE"
    assert environments(KEEP_FREED_MEMORY, KEEP_FREED_MEMORY | mine).startswith(
        "environment: — → OMP_DYNAMIC=TRUE"
    )
    assert environments({"MALLOC_MMAP_MAX_": "0"}, {}) == "environment: MALLOC_MMAP_MAX_=0 → —"


def test_fields_that_differ_are_told_in_words():
    before = record("msa", STEADY)
    cache = replace(MACHINE, last_level_cache_bytes=2**24, turbo=None)
    after = changed(before, machine=cache)
    assert in_words(unlike(a_run([before]), a_run([after]))) == (
        "last level cache: 32 MiB → 16 MiB; turbo: off → —"
    )


def test_cases_of_one_run_only_do_not_make_runs_unlike():
    before, after = record("msa", STEADY), record("hilo", STEADY, threads=1)
    assert unlike(a_run([before]), a_run([after])) == []


def test_runs_of_several_numbers_of_threads_are_compared_number_by_number():
    before = [record("msa", STEADY, threads=count) for count in (2, 1)]
    after = [record("msa", [0.5] * 12, threads=2)]
    assert unlike(a_run(before), a_run(after)) == []
    (change,) = changes(a_run(before), a_run(after), None, times=True)
    assert change.before.record.conditions.threads == 2
