"""From a sweep to records: what is left to do, and what becomes of it, with workers that only write facts."""

import re
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from attnbench.cases.case import Block, Case, Role
from attnbench.cases.protocol import ALLOCATORS, KEPT, Protocol
from attnbench.cases.registry import discover
from attnbench.cases.sweep import sweep
from attnbench.cases.variant import PLAIN
from attnbench.errors import AttnbenchError
from attnbench.machine.allocator import KEEP_FREED_MEMORY
from attnbench.machine.fingerprint import inspect_machine
from attnbench.machine.node import Allocation
from attnbench.measuring.attendance import CEILING_EVERY
from attnbench.records import heads, journal, record_file
from attnbench.records.block_state import BlockState
from attnbench.records.folder import complete_records, held, shard_of, shards, start_over
from attnbench.records.journal import (
    DISK_FAILED,
    PROCESS_SPENT,
    UNWRITABLE,
    Allocated,
    Checked,
    Counted,
    Fact,
    Failed,
    Job,
    Powered,
    Predicted,
    PutRight,
    Referenced,
    Started,
    Timed,
    Uncounted,
)
from attnbench.records.record import Check, Energy, Prediction, Record
from attnbench.records.record_file import read
from attnbench.run import runner
from attnbench.run.block_records import give_up, records_of, rows_to_be
from attnbench.run.plan import Planned, Setup
from attnbench.run.process import WorkerEnded
from attnbench.run.runner import measure, pending, survey
from tests.fakes import MEMORY, changed
from tests.shards import (
    CASES,
    ENVIRONMENT,
    GEOMETRY,
    HILO,
    MSA,
    PROTOCOL,
    Workers,
    allocated,
    case,
    counted,
    job,
    planned,
    priced,
    session,
    timed,
    warmed,
)

SETUP = Setup((), PROTOCOL)
SAMPLE = Started(1, "a sample")


PLAN = [planned()]
EDITED = [planned((MSA, replace(HILO, source="edited"), *CASES[2:]))]
GROWN = [planned((MSA, HILO, case("sra"), *CASES[2:]))]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    workers = Workers()
    monkeypatch.setattr(runner, "facts_of_worker", workers)
    return workers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / record_file.RECORDS).touch()
    return tmp_path


def run(folder: Path, plan: Sequence[Planned] = PLAN, watch: Callable[[Fact], None] = lambda _: None) -> bool:
    """What the command does once everything is counted."""
    return measure(pending(plan, SETUP, folder), SETUP, folder, lambda _, fact: watch(fact))


def named(rows: Iterable[Record]) -> list[str]:
    return [f"{row.case.label} {row.case.role}" for row in rows]


WHOLE = ["msa member", "hilo member", "msa twin", "ceiling/matmul ceiling", "ceiling/copy ceiling"]


def test_a_block_becomes_complete_rows_and_leaves_no_shard(folder: Path, workers: Workers):
    assert run(folder)
    rows = read(folder).records
    assert named(rows) == WHOLE
    assert all(row.complete and row.outcome == "measured" for row in rows)
    assert [(sample.session, sample.round) for sample in rows[0].samples] == [
        (session, number) for session in (0, 1) for number in range(5)
    ]
    assert len({row.block for row in rows}) == 1
    assert shards(folder) == []
    assert workers.started == 2


def test_a_row_holds_what_was_counted_and_what_decided_it(folder: Path, workers: Workers):
    run(folder)
    row, *_ = read(folder).records
    assert (row.params, row.macs, row.least_bytes) == (10, 1000, 64)
    assert (row.case.source, row.conditions.threads, row.conditions.protocol) == ("code of msa", 1, PROTOCOL)
    assert (
        row.case.workload.geometry.dim,
        row.case.workload.geometry.heads,
        row.case.workload.geometry.height,
        row.case.workload.geometry.width,
        row.conditions.flags,
    ) == (8, 2, 2, 2, {"threads": "1"})
    assert [warmup.session for warmup in row.warmups] == [0, 1]
    assert [seen.session for seen in row.witnesses] == [0, 1]


def test_a_row_holds_whatever_else_is_known_of_its_case():
    energy, referenced = Energy(0, 30.0, 2.0, 5, 1.5), Referenced(0, 1, 2, 2, "it needs more")
    facts: list[Fact] = [
        *(referenced, Checked(0, Check(1e-7, None), "as it is")),
        *(Powered(0, energy), PutRight(0, ("a flag",))),
        *(Uncounted(0, "no formula", 7), Uncounted(1, "no formula", 7), Failed(1, "wrong", "no numbers")),
    ]
    msa, hilo, *_ = records_of(BlockState([job(), ENVIRONMENT, *facts]), complete=True)
    assert (msa.energies, msa.put_right, msa.reference) == (
        (energy,), ("a flag",), f"{referenced.remark}; as it is",
    )  # fmt: skip
    assert (msa.reason, msa.macs_closed_form) == ("not counted: no formula", 7)
    assert (hilo.outcome, hilo.reason) == ("wrong", "no numbers")


def test_a_plan_that_is_measured_leaves_nothing_to_do(folder: Path, workers: Workers):
    run(folder)
    before = read(folder).records
    assert pending(PLAN, SETUP, folder) == []
    assert run(folder)
    assert read(folder).records == before
    assert workers.started == 2


def test_everything_that_arrives_is_shown_with_its_block(folder: Path, workers: Workers):
    seen: list[tuple[int, Fact]] = []
    plan = [planned(), planned([changed(case, batch=4) for case in CASES])]
    measure(plan, SETUP, folder, lambda block, fact: seen.append((block, fact)))
    timings = Counter(block for block, fact in seen if isinstance(fact, Timed))
    assert timings == {0: 2 * 5 * 5, 1: 2 * 5 * 5}
    assert [block for block, fact in seen if isinstance(fact, Job)] == [0, 1]


def test_what_was_found_before_is_not_timed_but_is_a_row(folder: Path, workers: Workers):
    failed = Failed(1, "out_of_memory", "too large")
    run(folder, [planned(CASES, failed)])
    msa, hilo, *_ = read(folder).records
    assert (hilo.outcome, hilo.reason, hilo.samples, hilo.complete) == (
        "out_of_memory", "too large", (), True,
    )  # fmt: skip
    assert (msa.outcome, len(msa.samples)) == ("measured", 10)


def test_what_will_not_be_timed_takes_no_time():
    unfit = planned(CASES, Failed(1, "out_of_memory", "too large"))
    assert unfit.macs == [2 * 1000, 2 * 1000, 1000, 1000]  # MSA, its twin and the ceilings


def test_a_block_whose_members_all_failed_needs_no_worker(folder: Path, workers: Workers):
    run(folder, [planned(CASES, *(Failed(index, "wrong", "NaN") for index in (0, 1)))])
    assert [row.outcome for row in read(folder).records[:2]] == ["wrong", "wrong"]
    assert workers.started == 0


REFUSED = Failed(1, "out_of_memory", "too large")


def needing(need: int) -> Planned:
    """A block whose HiLo needs so many bytes, of which there are eight."""
    failed = (REFUSED,) if need > 8 else ()
    found = {**planned().found, HILO.row: (Predicted(1, Prediction(need, 8)), counted(1), *failed)}
    return replace(planned(), found=found)


def test_a_row_says_what_it_was_predicted_to_need_and_what_it_took(folder: Path, workers: Workers):
    run(folder, [needing(7)])
    msa, hilo, twin, *_ = read(folder).records
    assert (hilo.prediction, hilo.memory) == (Prediction(7, 8), MEMORY)
    assert (msa.predicted_bytes, msa.memory, twin.memory) == (None, MEMORY, None)


def test_what_was_refused_for_memory_is_measured_once_there_is_enough(folder: Path, workers: Workers):
    run(folder, [needing(9)])
    assert read(folder).records[1].refused
    assert pending([needing(9)], SETUP, folder) == []
    run(folder, pending([needing(7)], SETUP, folder))
    hilo = [row for row in read(folder).records if row.case.label == "hilo"]
    assert [row.outcome for row in hilo] == ["out_of_memory", "measured"]
    assert pending([needing(7)], SETUP, folder) == []


def test_a_layer_that_could_not_be_counted_is_timed_and_says_so(folder: Path, workers: Workers):
    plan = replace(planned(), found={**planned().found, HILO.row: (Uncounted(0, "ValueError: odd", 7),)})
    run(folder, [plan])
    row = read(folder).records[1]
    assert (row.outcome, row.reason) == ("measured", "not counted: ValueError: odd")
    assert (row.macs, row.macs_closed_form) == (None, 7)
    assert len(row.samples) == 10


def interrupted(folder: Path, workers: Workers) -> tuple[Record, ...]:
    """The rows after a Ctrl-C in round 3 of session 1."""
    workers.next = [session(0, range(5)), [*session(1, range(5))[: 1 + 5 + 10], KeyboardInterrupt()]]
    assert not run(folder)
    return read(folder).records


def test_an_interrupt_leaves_rows_of_what_is_known_and_the_shard(folder: Path, workers: Workers):
    rows = interrupted(folder, workers)
    assert named(rows) == WHOLE
    assert [len(row.samples) for row in rows] == [7] * 5
    assert not any(row.complete for row in rows)
    assert len(shards(folder)) == 1


def test_an_interrupt_ends_the_whole_run(folder: Path, workers: Workers):
    workers.next = [[KeyboardInterrupt()]]
    assert not measure([planned(), *GROWN], SETUP, folder, lambda *_: None)
    assert workers.started == 1
    assert read(folder).records == ()


def test_what_was_interrupted_goes_on_with_its_samples(folder: Path, workers: Workers):
    before = interrupted(folder, workers)
    seen: list[Fact] = []
    assert run(folder, watch=seen.append)
    rows = read(folder).records[len(before) :]
    assert named(rows) == WHOLE
    assert all(row.complete for row in rows)
    assert rows[0].samples[:7] == before[0].samples
    assert [sample.session for sample in rows[0].samples] == [0] * 5 + [1] * 2 + [2] * 5
    assert [fact.sample for fact in seen if isinstance(fact, Timed) and fact.case == 0] == [*rows[0].samples]
    assert shards(folder) == []


def test_a_line_that_a_kill_cut_off_costs_only_itself(folder: Path, workers: Workers):
    interrupted(folder, workers)
    (shard,) = shards(folder)
    with shard.open("a") as file:
        file.write('{"fact": "Timed", "ca')
    assert run(folder)
    assert len(read(folder).records[-5].samples) == 12


def test_a_shard_whose_rows_were_half_written_is_completed_without_doubles(folder: Path, workers: Workers):
    shard = finished_shard(folder)
    rows = list(records_of(BlockState(journal.read(shard)), complete=True))
    record_file.append(folder, rows[:2])
    assert pending(PLAN, SETUP, folder) == []
    assert list(read(folder).records) == rows
    assert shards(folder) == []


def test_a_row_that_was_cut_in_the_middle_is_written_again(folder: Path, workers: Workers):
    shard = finished_shard(folder)
    rows = list(records_of(BlockState(journal.read(shard)), complete=True))
    record_file.append(folder, rows[:2])
    path = folder / record_file.RECORDS
    path.write_bytes(path.read_bytes()[:-99])
    with held(folder):
        assert pending(PLAN, SETUP, folder) == []
    assert list(read(folder).records) == rows


def test_a_finished_block_reads_no_line_that_was_read_before(
    folder: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
):
    read_lines: list[bytes] = []
    head_of = heads._head

    def looking(line: bytes, path: Path, start: int) -> heads.Head:
        read_lines.append(line)
        return head_of(line, path, start)

    monkeypatch.setattr(heads, "_head", looking)
    assert run(folder, [planned((MSA, replace(HILO, source=f"{n}"), *CASES[2:])) for n in range(4)])
    assert len(read(folder).records) == 4 * len(CASES)
    assert len(read_lines) == len(set(read_lines)) == 3 * len(CASES)


def test_a_shard_whose_rows_are_all_there_only_goes(folder: Path, workers: Workers):
    shard = finished_shard(folder)
    rows = list(records_of(BlockState(journal.read(shard)), complete=True))
    record_file.append(folder, rows)
    assert pending(PLAN, SETUP, folder) == []
    assert list(read(folder).records) == rows
    assert shards(folder) == []


def test_the_first_worker_compiles_with_all_cores_and_those_that_time_with_none_beside(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    given = []

    class Spy(Workers):
        def __call__(
            self, shard: Path, threads: Any, timeout_s: float, spare: object = None
        ) -> Iterator[Fact]:
            given.append(threads["TORCHINDUCTOR_COMPILE_THREADS"])
            return super().__call__(shard, threads, timeout_s)

    monkeypatch.setattr(runner, "facts_of_worker", Spy())
    monkeypatch.setattr(runner, "logical_cores", lambda: 16)
    run(folder, [planned([changed(case, compile="default") for case in CASES])])
    assert given == ["16", "1", "1"]


def steps_of_workers(folder: Path, workers: Workers, cases: Sequence[Case]) -> list[str]:
    """What kinds of facts tell of the workers of a block, one after the other."""
    seen: list[Fact] = []
    measure([planned(cases)], SETUP, folder, lambda _, fact: seen.append(fact))
    kinds = (type(fact).__name__ for fact in seen if isinstance(fact, Allocated | Timed))
    return [kind for kind, _ in groupby(kinds)]


def test_layers_are_timed_before_their_memory_is_measured(folder: Path, workers: Workers):
    assert steps_of_workers(folder, workers, CASES) == ["Timed", "Allocated", "Timed"]


def test_another_way_to_run_a_layer_is_examined_before_it_is_timed(folder: Path, workers: Workers):
    fused = [changed(case, kernel="fused") for case in CASES]
    assert steps_of_workers(folder, workers, fused) == ["Allocated", "Timed"]


def test_a_row_says_what_less_than_its_case_was_compared_with_float64(folder: Path):
    less = Referenced(0, 1, 7, 7, "it needs more"), Referenced(1, 1, 2, 2, "")
    state = BlockState([*journal.read(finished_shard(folder)), *less])
    said = [row.reference for row in records_of(state, complete=True)]
    assert said[:2] == ["compared with float64 on a map of 7x7 alone: it needs more", None]


def finished_shard(folder: Path) -> Path:
    shard = shard_of(folder, "a")
    known = [counted(index) for index in range(5)]
    memory = [allocated(index) for index in range(2)]
    journal.save(shard, [job(), ENVIRONMENT, *known, *memory, *session(0, range(5)), *session(1, range(5))])
    return shard


def test_an_unfinished_shard_of_another_plan_becomes_rows_that_are_not_complete(
    folder: Path, workers: Workers
):
    interrupted(folder, workers)
    before = len(read(folder).records)
    (left,) = pending(GROWN, SETUP, folder)
    assert [member.label for member in left.block.members] == ["msa", "hilo", "sra"]
    rows = read(folder).records[before:]
    assert named(rows) == WHOLE
    assert not any(row.complete for row in rows)
    assert shards(folder) == []


def test_a_shard_of_other_threads_is_not_gone_on_with(folder: Path, workers: Workers):
    interrupted(folder, workers)
    other = [replace(PLAN[0], block=replace(PLAN[0].block, threads=2))]
    assert pending(other, SETUP, folder) == other
    assert shards(folder) == []


def test_a_shard_that_another_node_began_is_not_gone_on_with(folder: Path, workers: Workers):
    here, there = (replace(SETUP, node=name) for name in ("here", "there"))
    workers.next = [session(0, range(5)), [*session(1, range(5))[:16], KeyboardInterrupt()]]
    assert not measure(PLAN, here, folder, lambda *_: None)
    assert measure(pending(PLAN, there, folder), there, folder, lambda *_: None)
    rows = read(folder).records
    assert [(row.conditions.node, len(row.samples)) for row in rows if row.complete] == [("there", 10)] * 5
    assert {row.block for row in rows if row.complete}.isdisjoint(
        row.block for row in rows if not row.complete
    )
    assert {row.key for row in rows if row.complete} == {row.key for row in rows if not row.complete}


def test_rows_say_which_node_measured_them_and_what_it_was_given(folder: Path, workers: Workers):
    given = Allocation((0, 1), 2, exclusive=True)
    assert measure(PLAN, replace(SETUP, node="here", allocation=given), folder, lambda *_: None)
    conditions = [row.conditions for row in read(folder).records]
    assert [(each.node, each.allocation) for each in conditions] == [("here", given)] * 5


def test_a_mechanism_that_was_added_is_measured_beside_a_control(folder: Path, workers: Workers):
    run(folder)
    (left,) = pending(GROWN, SETUP, folder)
    assert [(case.label, case.role) for case in left.block.cases[:3]] == [
        ("msa", Role.control), ("sra", Role.member), ("msa", Role.twin),
    ]  # fmt: skip


def test_code_that_was_edited_is_measured_again_in_a_block_of_its_own(folder: Path, workers: Workers):
    run(folder)
    before = read(folder).records
    run(folder, EDITED)
    new = read(folder).records[len(before) :]
    assert read(folder).records[: len(before)] == before
    assert named(new) == ["msa control", "hilo member", *WHOLE[2:]]
    assert new[1].case.source == "edited"
    assert {row.block for row in new} != {row.block for row in before}
    assert pending(EDITED, SETUP, folder) == []


def test_code_that_is_edited_twice_has_its_control_each_time(folder: Path, workers: Workers):
    twice = [planned((MSA, replace(HILO, source="edited twice"), *CASES[2:]))]
    for plan in (PLAN, EDITED, twice):
        run(folder, plan)
    new = read(folder).records[-5:]
    assert named(new) == ["msa control", "hilo member", *WHOLE[2:]]
    assert len({row.block for row in new}) == 1


def test_starting_over_measures_everything_again(folder: Path, workers: Workers):
    run(folder)
    start_over(folder)
    assert pending(PLAN, SETUP, folder) == PLAN
    assert complete_records(folder) == {}


def ended(at_work: Started | None, returncode: int, outcome: str = "crashed") -> WorkerEnded:
    return WorkerEnded("the worker process ended", at_work, outcome, returncode)


def outcomes(folder: Path) -> dict[str, str]:
    return {row.case.label: row.outcome for row in read(folder).records if row.case.role is Role.member}


def test_a_case_that_ends_its_worker_is_a_row_and_the_others_go_on(folder: Path, workers: Workers):
    workers.next = [[*session(0, range(5))[:11], SAMPLE, ended(SAMPLE, 9)]]
    seen: list[Fact] = []
    assert run(folder, watch=seen.append)
    msa, hilo, *_ = read(folder).records
    assert (hilo.outcome, hilo.reason) == ("crashed", "during a sample, the worker process ended")
    assert [len(row.samples) for row in (msa, hilo)] == [1 + 2 * 5, 1]
    assert sum(isinstance(fact, Failed) for fact in seen) == 1


def test_a_case_that_loses_the_device_is_a_row_and_the_others_go_on_in_a_fresh_worker(
    folder: Path, workers: Workers
):
    lost = Failed(1, "crashed", "CUDA error: an illegal memory access was encountered")
    workers.next = [[SAMPLE, lost, ended(None, PROCESS_SPENT)]]
    assert run(folder)
    msa, hilo, *_ = read(folder).records
    assert (hilo.outcome, hilo.reason, len(hilo.samples)) == ("crashed", lost.reason, 0)
    assert len(msa.samples) == 2 * 5


def test_a_worker_that_says_the_device_is_lost_and_blames_nothing_is_not_started_for_ever(
    folder: Path, workers: Workers
):
    workers.next = [[SAMPLE, ended(SAMPLE, PROCESS_SPENT)]]
    assert run(folder)
    assert outcomes(folder) == {"msa": "measured", "hilo": "crashed"}


def test_a_step_that_took_too_long_is_its_whole_reason(folder: Path, workers: Workers):
    workers.next = [[warmed(0), SAMPLE, ended(SAMPLE, 0, "timed_out")]]
    run(folder)
    hilo = read(folder).records[1]
    assert (hilo.outcome, hilo.reason) == ("timed_out", "the worker process ended")


def test_a_kill_from_outside_is_blamed_on_nobody_the_first_time(folder: Path, workers: Workers):
    workers.next = [[warmed(0), timed(0), SAMPLE, ended(SAMPLE, -signal.SIGKILL)]]
    assert run(folder)
    assert outcomes(folder) == {"msa": "measured", "hilo": "measured"}
    assert [sample.session for sample in read(folder).records[0].samples] == [0] + [1] * 5 + [2] * 5


def test_a_case_that_is_killed_twice_was_the_reason(folder: Path, workers: Workers):
    workers.next = [[SAMPLE, ended(SAMPLE, -signal.SIGKILL)]] * 2
    run(folder)
    assert outcomes(folder) == {"msa": "measured", "hilo": "crashed"}


def test_the_fourth_kill_from_outside_is_blamed_on_the_case_at_work(folder: Path, workers: Workers):
    killed = -signal.SIGKILL
    workers.next = [[at, ended(at, killed)] for at in (Started(index, "a sample") for index in (0, 2, 3, 1))]
    run(folder)
    assert outcomes(folder) == {"msa": "measured", "hilo": "crashed"}


def test_a_kill_between_two_steps_is_held_against_no_case(folder: Path, workers: Workers):
    first, killed = Started(0, "a sample"), -signal.SIGKILL
    workers.next = [[warmed(0), ended(None, killed)], [first, ended(first, killed)]]
    run(folder)
    assert outcomes(folder) == {"msa": "measured", "hilo": "measured"}


def test_what_a_killed_run_left_of_a_shard_is_no_part_of_the_next_one(folder: Path, workers: Workers):
    run(folder)
    block = read(folder).records[0].block
    start_over(folder)
    (folder / record_file.RECORDS).touch()
    shard_of(folder, block).with_suffix(".new").write_text('{"fact": "Job", "torn')
    run(folder)
    assert outcomes(folder) == {"msa": "measured", "hilo": "measured"}


def test_a_worker_has_the_time_for_a_step_that_the_protocol_says(
    folder: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
):
    seen: set[float] = set()

    def spy(shard: Path, environment: Any, timeout_s: float, spare: object = None) -> Iterator[Fact]:
        seen.add(timeout_s)
        return workers(shard, environment, timeout_s)

    monkeypatch.setattr(runner, "facts_of_worker", spy)
    run(folder)
    assert seen == {PROTOCOL.timeout_s}


def test_who_gives_a_block_up_leaves_what_failed_by_itself_as_it_is(tmp_path: Path):
    journal.save(shard := tmp_path / "shard", [job(), ENVIRONMENT, Failed(1, "wrong", "no numbers")])
    msa, hilo, *_ = give_up(shard, "timed_out", "no time")
    assert (msa.outcome, msa.reason, msa.complete) == ("timed_out", "no time", True)
    assert (hilo.outcome, hilo.reason, hilo.complete) == ("wrong", "no numbers", True)


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_rows_that_are_to_be_know_the_environment_that_workers_will_have(
    monkeypatch: pytest.MonkeyPatch, allocator: str
):
    for name in KEEP_FREED_MEMORY:
        monkeypatch.delenv(name, raising=False)
    before = inspect_machine().environment
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    setup = Setup((), replace(PROTOCOL, allocator=allocator))
    found = rows_to_be(planned().block, setup)[0].conditions.machine.environment
    kept = KEEP_FREED_MEMORY if allocator == KEPT else {}
    assert found == {**before, "OMP_PROC_BIND": "true", **kept}


def test_what_is_measured_of_the_machine_is_whole(workers: Workers):
    rows = runner.measure_ceilings(GEOMETRY, "cpu", "float32", 1, SETUP)
    assert [(row.case.title, row.complete, row.outcome) for row in rows] == [
        ("Large matmul", True, "measured"), ("Large copy", True, "measured"),
    ]  # fmt: skip


def test_what_is_priced_of_a_block_are_its_members(workers: Workers):
    told, *found = runner.price(planned().block, SETUP)
    assert isinstance(told, Job)
    assert (told.cases, found) == ((MSA, HILO), [priced(0), priced(1)])


def test_a_worker_that_cannot_begin_ends_the_run_and_says_why(folder: Path, workers: Workers):
    workers.next = [[ended(None, 1)]]
    with pytest.raises(AttnbenchError, match=r"A worker could not begin: the worker process ended\."):
        run(folder)
    assert len(shards(folder)) == 1


def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(folder: Path, workers: Workers):
    full = WorkerEnded(f"ended: {UNWRITABLE}no space", SAMPLE, "crashed", DISK_FAILED)
    workers.next = [[*session(0, range(5))[:11], SAMPLE, full]]
    with pytest.raises(AttnbenchError, match=f"{folder} cannot be written: .*make room, and run the same"):
        run(folder)
    assert run(folder)
    assert outcomes(folder) == {"msa": "measured", "hilo": "measured"}
    assert [len(row.samples) for row in read(folder).records[:2]] == [11, 11]


def test_a_layer_whose_status_is_that_of_a_full_disk_has_crashed(folder: Path, workers: Workers):
    workers.next = [[SAMPLE, ended(SAMPLE, DISK_FAILED)]]
    run(folder)
    assert outcomes(folder) == {"msa": "measured", "hilo": "crashed"}


def test_a_worker_that_asks_for_a_fresh_process_without_a_result_is_not_asked_for_ever(
    folder: Path, workers: Workers
):
    workers.next = [[SAMPLE, ended(SAMPLE, PROCESS_SPENT)], [SAMPLE, ended(SAMPLE, PROCESS_SPENT)]]
    run(folder)
    assert outcomes(folder) == {"msa": "measured", "hilo": "crashed"}


def test_a_line_that_a_dying_worker_cut_off_is_no_obstacle(folder: Path, workers: Workers):
    def dying() -> Iterator[Fact | BaseException]:
        yield SAMPLE
        with shards(folder)[0].open("a") as shard:
            shard.write('{"fact": "Timed", "ca')
        yield ended(SAMPLE, 9)

    workers.next = [dying()]
    assert run(folder)
    assert outcomes(folder) == {"msa": "measured", "hilo": "crashed"}


def test_a_survey_counts_each_case_once_and_twins_share_it(workers: Workers):
    (found, other) = survey([planned().block, GROWN[0].block], SETUP)
    assert [label for label, _ in found.found] == ["msa", "hilo", "ceiling/matmul", "ceiling/copy"]
    assert found.environment == ENVIRONMENT
    assert [fact.case for fact in found.facts()] == [0, 1, 2, 3, 4]
    assert [fact.case for fact in other.found["sra", PLAIN] if isinstance(fact, Counted)] == [6]


def test_a_survey_puts_the_cheapest_block_first(workers: Workers):
    large = planned(tuple(changed(one, batch=9) for one in CASES)).block
    assert [found.block for found in survey([large, planned().block], SETUP)] == [planned().block, large]


def test_a_survey_takes_what_was_priced_of_the_same_cases_and_code(workers: Workers):
    survey([planned().block], SETUP, [(HILO, priced(7)), (changed(MSA, source="older"), priced(0))])
    assert workers.given == [priced(1)]


def test_a_survey_goes_on_where_a_worker_stopped(workers: Workers):
    workers.next = [[ENVIRONMENT, counted(0), Predicted(1, Prediction(9, 9))]]
    (found,) = survey([planned().block], SETUP)
    assert all(found.found.values())
    assert workers.started == 2


def test_a_case_that_ends_the_counting_is_not_timed(workers: Workers):
    counting = Started(1, "its count")
    workers.next = [[ENVIRONMENT, counted(0), counting, ended(counting, 9)]]
    (found,) = survey([planned().block], SETUP)
    failure = Failed(1, "crashed", "during its count, the worker process ended")
    assert found.unfit == [(HILO, failure)]
    assert found.macs == [2 * 1000, 2 * 1000, 1000, 1000]


def test_a_setting_without_a_meaning_is_the_users_mistake(workers: Workers):
    workers.next = [[ENVIRONMENT, Failed(1, "mistake", "alpha is 7")], *[[counted(0)]] * 0]
    with pytest.raises(AttnbenchError, match="alpha is 7"):
        survey([planned().block], SETUP)


MISBEHAVING = """
import functools, os, time, traceback
import torch
from torch import nn
from attnbench import Mechanism, Paper, UnsupportedGeometry

class Layer(nn.Module):
    def __init__(self, geometry):
        super().__init__()
        self.map = nn.Linear(geometry.dim, geometry.dim)

class Refuses(Layer):
    def __init__(self, geometry):
        raise UnsupportedGeometry("this map is too square")

class Raises(Layer):
    def forward(self, x):
        if len(x) > 1:
            raise ValueError("no batches please")
        return self.map(x)

class Zeros(Layer):
    def forward(self, x):
        return torch.zeros(len(x), 1, 8)

class NotANumber(Layer):
    def forward(self, x):
        return self.map(x) * float("nan")

class Sleeps(Layer):
    def forward(self, x):
        time.sleep(60)
        return self.map(x)

class Exits(Layer):
    def forward(self, x):
        os._exit(9)

class Quits(Layer):
    def forward(self, x):
        os._exit(0)

class Leaves(Layer):
    def forward(self, x):
        raise SystemExit(0)

class Hoards(Layer):
    def forward(self, x):
        return self.map(x) + torch.zeros(2**38)[0]

@functools.lru_cache
def table(dim):
    return torch.ones(dim)

class Keeps(Layer):
    def forward(self, x):
        return self.map(x) + table(x.shape[-1])

class OnlyBatches(Layer):
    def forward(self, x):
        if len(x) == 1:
            raise ValueError("one image is no batch")
        return self.map(x)

class FailsLate(Layer):
    def forward(self, x):
        if any(frame.name == "rounds" for frame in traceback.extract_stack()):
            raise FileNotFoundError("the file is gone")
        return self.map(x)

for name, layer in list(globals().items()):
    if isinstance(layer, type) and issubclass(layer, Layer) and layer is not Layer:
        globals()["made_" + name] = Mechanism(
            name.lower(), name, layer, lambda geometry: 7, Paper("None", "Nowhere", 2026, "https://example.org")
        )
"""
BAD = (
    "refuses",
    "raises",
    "zeros",
    "notanumber",
    "sleeps",
    "exits",
    "quits",
    "leaves",
    "hoards",
    "failslate",
)
ODD = ("keeps", "onlybatches")
BESIDE_BAD_ONES = Protocol(
    sessions=2, precision=100, max_seconds=60, least_warmup_s=0, most_warmup_s=0.1, timeout_s=20
)


@pytest.fixture(scope="module")
def beside_bad_ones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """The rows by label and role of MSA among layers that do whatever a layer should not, really measured."""
    folder = tmp_path_factory.mktemp("run")
    plugin = folder / "misbehaving.py"
    plugin.write_text(MISBEHAVING)
    (folder / record_file.RECORDS).touch()
    registry = discover([plugin])
    choices = [registry.choose(text) for text in ("msa", *BAD, *ODD)]
    blocks = sweep(choices, [GEOMETRY], ["cpu"], batches=[2])
    setup = Setup((str(plugin),), BESIDE_BAD_ONES)
    assert measure(survey(blocks, setup), setup, folder, lambda *_: None)
    return {
        row.case.label if row.case.role is Role.member else row.case.title: row
        for row in read(folder).records
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("label", "outcome", "reason"),
    [
        ("refuses", "unsupported", "this map is too square"),
        ("raises", "crashed", r"ValueError: no batches please \(.*\.py, line \d+\)"),
        ("zeros", "wrong", r"the output has shape \(2, 1, 8\) instead of \(2, 4, 8\)"),
        ("notanumber", "wrong", "the output holds NaN or infinite numbers"),
        ("sleeps", "timed_out", "the prediction of its memory took longer than 20 s"),
        (
            "exits",
            "crashed",
            "during the prediction of its memory, the worker process ended with status 9: .*",
        ),
        (
            "quits",
            "crashed",
            "during the prediction of its memory, the worker process ended with status 0: .*",
        ),
        ("leaves", "crashed", r"it ends its process: SystemExit\(0\)"),
        ("hoards", "out_of_memory", r"it needs 1,024\.0 GiB by prediction, and [\d.]+ GiB are available"),
        ("failslate", "crashed", r"FileNotFoundError: the file is gone \(.*\.py, line \d+\)"),
    ],
)
def test_a_layer_that_misbehaves_is_a_row_that_says_how(
    beside_bad_ones: dict[str, Record], label: str, outcome: str, reason: str
):
    row = beside_bad_ones[label]
    assert (row.outcome, row.samples, row.complete) == (outcome, (), True)
    assert row.reason is not None
    assert re.fullmatch(reason, row.reason)


@pytest.mark.slow
def test_layers_beside_those_that_misbehave_are_measured_in_all_rounds_and_sessions(
    beside_bad_ones: dict[str, Record],
):
    """Session 0 ended before its first round, for layers that fail at once, and 1 for one that fails late."""
    for name in ("msa", *ODD, "MSA again", "Large matmul", "Large copy"):
        row = beside_bad_ones[name]
        assert row.outcome == "measured"
        places = [(sample.session, sample.round) for sample in row.samples if sample.session > 1]
        numbers = range(0, 5, CEILING_EVERY if row.case.role is Role.ceiling else 1)
        assert places == [(session, number) for session in (2, 3) for number in numbers]
        assert [seen.session for seen in row.witnesses] == [2, 3]


@pytest.mark.slow
def test_a_layer_that_keeps_tensors_of_its_prediction_is_counted(beside_bad_ones: dict[str, Record]):
    row = beside_bad_ones["keeps"]
    assert (row.params, row.macs, row.macs_closed_form, row.reason) == (72, 4 * 8 * 8, 7, None)


@pytest.mark.slow
def test_a_layer_that_fails_at_batch_1_alone_is_timed_and_says_that_it_was_not_counted(
    beside_bad_ones: dict[str, Record],
):
    row = beside_bad_ones["onlybatches"]
    assert (row.macs, row.reason) == (None, "not counted: ValueError: one image is no batch")


@pytest.mark.slow
def test_a_really_measured_row_knows_how_it_was_made(beside_bad_ones: dict[str, Record]):
    row = beside_bad_ones["msa"]
    conditions = row.conditions
    assert (conditions.threads, conditions.flags["threads"], conditions.protocol) == (1, "1", BESIDE_BAD_ONES)
    assert all(sample.seconds > 0 for sample in row.samples)
    assert all(warmup.calls_per_sample > 1 for warmup in row.warmups)
    here = inspect_machine()
    assert row.conditions.machine == replace(here, environment={**here.environment, **KEEP_FREED_MEMORY})


def test_blocks_of_other_threads_are_counted_and_timed_by_workers_that_have_these(
    folder: Path, workers: Workers
):
    blocks = [Block(CASES, threads=count) for count in (2, 1)]
    plan = survey(blocks, SETUP)
    assert [one.threads for one in workers.jobs if one.task == "count"] == [2, 1]
    assert [found.block.threads for found in plan] == [2, 1]
    assert measure(pending(plan, SETUP, folder), SETUP, folder, lambda *_: None)
    found = read(folder).records
    assert [row.conditions.threads for row in found if row.case.label == "hilo"] == [2, 1]
    assert len({row.block for row in found}) == 2
    assert len({row.key for row in found}) == 2 * 5
    assert pending(plan, SETUP, folder) == []


def test_a_row_says_what_set_its_batch_where_that_was_found(folder: Path, workers: Workers):
    filled = Block(CASES, is_open=True).filled(2, "batch 2 is what fits")
    run(folder, survey([filled], SETUP))
    assert {row.batch_note for row in read(folder).records} == {"batch 2 is what fits"}
    assert pending(PLAN, SETUP, folder) == []  # the same rows as of a batch that was asked for
