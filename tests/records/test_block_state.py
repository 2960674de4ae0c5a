"""What a shard says: facts as text, and what they mean together."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from attnbench.cases.case import Role
from attnbench.cases.sweep import ceilings
from attnbench.records import journal
from attnbench.records.block_state import BlockState
from attnbench.records.journal import (
    Attended,
    Began,
    Checked,
    Ended,
    Expected,
    Fact,
    Failed,
    Powered,
    Predicted,
    PutRight,
    Referenced,
    Returned,
    Started,
    Timed,
    Uncounted,
)
from attnbench.records.record import Check, Energy, Prediction, Sample, Warmup
from attnbench.records.rounds import paired
from tests.fakes import changed, witness
from tests.shards import (
    CASES,
    ENVIRONMENT,
    GEOMETRY,
    HILO,
    MSA,
    PROTOCOL,
    allocated,
    case,
    counted,
    fitted,
    job,
    priced,
    session,
    timed,
    warmed,
)

EVERY_KIND: list[Fact] = [
    job((*CASES, case("hilo:alpha=0.5", Role.control, settings={"alpha": 0.5}))),
    ENVIRONMENT,
    replace(ENVIRONMENT, rates={"cuda": 2e13}),
    Began(3),
    Started(1, "its first call"),
    Started(1, "its first call", patience=10),
    Predicted(0, Prediction(None, 8)),
    Referenced(0, 1, 14, 28, "it needs more"),
    Expected(0, ((0.1, -2e-9), (1.0, 3.0)), (0.5,), True, ""),
    Expected(1, (), (), False, "it is random"),
    Returned(0, ((0.1, -2e-9),), ((0.2, -1.0),), ((-0.3, 4.0),), kept=True),
    allocated(0),
    changed(counted(0), uncounted=("aten::x",)),
    Uncounted(1, "ValueError: ²", None),
    Failed(1, "wrong", "NaN"),
    priced(0),
    fitted(1),
    Checked(0, Check(1e-7, 2.5), "on a map of 7x7 alone"),
    Attended(0, ("flash", "math")),
    PutRight(1, ("the seed",)),
    warmed(0),
    timed(0),
    Powered(0, Energy(0, 64.0, 2.0, 10, None)),
    Ended(witness(gpu_temperature_c=-4)),
]


def state(*more: Fact, **changes: Any) -> BlockState:
    """The story of a block of MSA, HiLo, the twin and two ceilings, after these facts."""
    return BlockState([job(protocol=replace(PROTOCOL, **changes)), *more])


def test_the_environment_is_that_of_the_last_worker():
    moved = replace(ENVIRONMENT, macs_per_s=2e9)
    assert state(ENVIRONMENT, moved).environment == moved


def test_what_a_layer_changed_is_told_once():
    told = state(PutRight(0, ("the seed",)), PutRight(0, ("the seed", "the threads")))
    assert told.put_right == {0: ("the seed", "the threads")}


def test_every_fact_survives_its_way_as_a_line():
    assert {type(fact) for fact in EVERY_KIND} == set(get_args(Fact))
    assert [journal.parse(journal.to_line(fact).encode()) for fact in EVERY_KIND] == EVERY_KIND
    assert all(journal.to_line(fact).count("\n") == 1 for fact in EVERY_KIND)


def test_facts_are_appended_to_a_shard_and_read_in_order(tmp_path: Path):
    shard = tmp_path / "shard.jsonl"
    journal.save(shard, EVERY_KIND[:4])
    journal.save(shard, EVERY_KIND[4:])
    assert journal.read(shard) == EVERY_KIND


def test_a_last_line_that_was_not_finished_is_not_read(tmp_path: Path):
    shard = tmp_path / "shard.jsonl"
    journal.save(shard, EVERY_KIND)
    shard.write_bytes(shard.read_bytes()[:-9])
    assert journal.read(shard) == EVERY_KIND[:-1]


def test_a_fact_can_be_read_as_soon_as_it_is_written():
    class Pipe(io.StringIO):
        flushed = ""

        def flush(self) -> None:
            self.flushed = self.getvalue()

    pipe = Pipe()
    journal.write(pipe, Began(1))
    assert journal.parse(pipe.flushed.encode()) == Began(1)


def test_a_case_is_alive_until_it_fails():
    assert state(Uncounted(0, "odd", 1)).alive == [0, 1, 2, 3, 4]
    assert state(Failed(1, "wrong", "NaN")).alive == [0, 2, 3, 4]


def test_a_case_is_left_to_count_until_it_is_counted_given_up_or_failed():
    assert state().uncounted == [0, 1, 2, 3, 4]
    known = (counted(0), Uncounted(1, "odd", 1), Failed(3, "crashed", "bang"), Predicted(4, Prediction(8, 9)))
    assert state(*known).uncounted == [2, 4]


def test_what_is_known_of_a_case_is_all_that_was_found_without_measuring_it():
    known = (Predicted(0, Prediction(9, 8)), counted(0), Failed(0, "out_of_memory", "too large"))
    assert state(*known, allocated(0), warmed(0)).known == {0: known}


def test_a_need_fits_up_to_what_is_available_and_where_nobody_can_tell():
    assert [Prediction(need, 8).fits for need in (7, 8, 9, None)] == [True, True, False, True]


def test_members_are_left_without_memory_until_it_is_measured_or_they_fail():
    assert state().without_memory == [0, 1]
    assert state(allocated(0), Failed(1, "wrong", "NaN")).without_memory == []


def test_layers_come_to_a_session_first_and_are_examined_after_it():
    assert not state().examines_next
    assert state(*session(0, [0, 1])).examines_next
    assert not state(*session(0, [0, 1]), allocated(0), allocated(1)).examines_next


def test_another_way_to_run_a_layer_is_examined_first():
    fused = job(tuple(changed(case, kernel="fused") for case in CASES))
    assert BlockState([fused]).examines_next
    beside = job((MSA, changed(HILO, kernel="fused"), *CASES[2:]))
    assert BlockState([beside]).examines_next


def test_where_nobody_can_be_timed_nobody_is_examined():
    failed = [Failed(index, "wrong", "NaN") for index in range(5)]
    assert not state(*failed).examines_next


def test_a_block_is_unfinished_until_its_memory_is_measured_and_its_sessions_are_over():
    sessions = (*session(0, [0, 1]), *session(1, [0, 1]))
    assert state(*sessions, allocated(0)).unfinished
    assert state(*sessions[:-1], allocated(0), allocated(1)).unfinished
    assert not state(*sessions, allocated(0), allocated(1)).unfinished


def test_a_session_is_left_until_it_has_come_to_its_end():
    assert state().sessions_left == 2
    assert state(*session(0, [0, 1])[:-1]).sessions_left == 2
    assert state(*session(0, [0, 1])).sessions_left == 1
    assert state(*session(0, [0, 1]), *session(1, [0, 1])).sessions_left == 0
    assert state(*session(0, [0]), *session(1, [0]), *session(2, [0])).sessions_left == 0


def test_no_session_is_left_when_every_member_failed():
    failures = [Failed(0, "crashed", ""), Failed(1, "wrong", "")]
    assert state(failures[0]).sessions_left == 2
    assert state(*failures).sessions_left == 0


def test_ceilings_alone_have_sessions_too():
    alone = job(ceilings(GEOMETRY, "cpu", "float32"))
    assert BlockState([alone]).sessions_left == 2
    assert BlockState([alone, *session(0, [0, 1])]).sessions_left == 1


def test_a_session_number_is_never_used_again():
    assert state(Began(0)).next_session == 0
    assert state(warmed(0, session=0)).next_session == 1
    assert state(*session(0, [0]), warmed(0, session=4), warmed(1, session=3)).next_session == 5


def test_precision_is_asked_of_all_sessions_together():
    assert state(sessions=4).next_precision == pytest.approx(0.04)
    assert state(*session(0, [0]), sessions=4).next_precision == pytest.approx(0.02 * 2**0.5)
    last = [fact for number in range(3) for fact in session(number, [0])]
    assert state(*last, sessions=4).next_precision == pytest.approx(0.02)
    assert state(*last, sessions=3).next_precision == pytest.approx(0.02)


def test_time_spent_is_that_of_warm_up_and_of_every_call_of_a_sample():
    assert state(warmed(0), timed(0), timed(0, number=1)).spent_s == pytest.approx(1.0 + 2 * 2 * 0.1)
    on_a_gpu = Timed(0, Sample(0, 0, 0, seconds=0.1, wall_s=0.3))
    assert state(warmed(0), on_a_gpu).spent_s == pytest.approx(1.0 + 2 * 0.3)


def test_calls_of_a_sample_are_those_of_its_own_session():
    more = replace(warmed(0, session=1), warmup=Warmup(1, 4, 1.0, True, calls_per_sample=10))
    assert state(warmed(0), timed(0), more, timed(0, session=1)).spent_s == pytest.approx(2 + 0.2 + 1)


def test_a_session_gets_its_share_of_the_time_that_is_left():
    assert state(sessions=4, max_seconds=100).next_session_s == 25
    assert state(warmed(0), sessions=4, max_seconds=101).next_session_s == 25
    assert state(warmed(0), Ended(witness(wall_s=20)), sessions=3, max_seconds=121).next_session_s == 50


def test_a_session_that_ended_has_taken_all_of_its_time_and_not_only_its_samples():
    ended = Ended(witness(wall_s=7))
    assert state(warmed(0), timed(0), ended).spent_s == pytest.approx(1 + 7)
    begun: list[Fact] = [warmed(0, session=1), timed(0, session=1)]
    assert state(warmed(0), timed(0), ended, *begun).spent_s == pytest.approx(1 + 7 + 1 + 2 * 0.1)
    assert state(warmed(0), max_seconds=0.5).next_session_s == 0


def test_rounds_that_both_have_are_pairs():
    told = state(
        timed(0, 0, 0, 0.1), timed(1, 0, 0, 0.2), timed(1, 0, 1, 0.3),
        timed(1, 1, 0, 0.5), timed(0, 1, 0, 0.4),
    )  # fmt: skip
    ours, theirs, sessions = paired(told.seconds_of(0), told.seconds_of(1))
    assert (ours.tolist(), theirs.tolist(), sessions) == ([[0.1], [0.4]], [[0.2], [0.5]], [0, 1])
    assert [len(each) for each in paired(told.seconds_of(1), told.seconds_of(2))] == [0, 0, 0]
    assert told.seconds_of(1) == {(0, 0): (0.2,), (0, 1): (0.3,), (1, 0): (0.5,)}


def test_rounds_in_which_the_machine_was_not_as_fast_yet_count_for_nothing():
    slow = [timed(case, 1, number, 0.9) for number in (0, 1) for case in (0, 1)]
    later = [timed(case, 1, number, 0.1) for number in range(2, 24) for case in (0, 1)]
    told = state(*[timed(case, 0, 0, 0.1) for case in (0, 1)], *slow, *later)
    assert [(each.session, each.round) for each in told.samples[1] if each.settling] == [(1, 0), (1, 1)]
    assert told.seconds_of(0) == told.seconds_of(1) == dict.fromkeys(told.seconds_of(0), (0.1,))
    assert len(told.seconds_of(0)) == 23


def test_ceilings_do_not_say_whether_the_machine_had_settled():
    slow = [timed(case, 0, number, 0.9) for number in (0, 1) for case in (3, 4)]
    steady = [timed(0, 0, number, 0.1) for number in range(24)]
    later = [timed(case, 0, number, 0.1) for number in range(2, 24) for case in (3, 4)]
    assert not any(each.settling for each in state(*slow, *steady, *later).samples[0])


def test_a_round_is_as_slow_as_the_median_of_what_a_member_took_in_it():
    once = [timed(0, 0, number, 0.9 if number < 2 else 0.1) for number in range(24)]
    again = [timed(0, 0, number, 0.1) for number in range(24) for _ in range(2)]
    assert not any(each.settling for each in state(*once, *again).samples[0])


def test_first_rounds_settle_though_the_first_member_is_in_later_ones_alone():
    later = [timed(case, 0, number, 0.1) for number in range(2, 24) for case in (0, 1)]
    slow = [timed(1, 0, number, 0.9) for number in (0, 1)]
    told = state(*slow, *later).samples[1]
    assert [each.round for each in told if each.settling] == [0, 1]


def test_the_baseline_is_the_case_whose_twin_is_there():
    assert state().baseline == 0
    hilo_twin = replace(HILO, role=Role.twin)
    assert BlockState([job((MSA, HILO, hilo_twin))]).baseline == 1
    assert BlockState([job((replace(MSA, role=Role.control), HILO, CASES[2]))]).baseline == 0


def test_a_baseline_that_failed_is_none():
    assert state(Failed(0, "crashed", "bang")).baseline is None
    assert BlockState([job(ceilings(GEOMETRY, "cpu", "float32"))]).baseline is None


def test_ceilings_are_judged_only_where_nothing_else_is():
    assert state(Failed(1, "wrong", "NaN")).judged == [0, 2]
    assert BlockState([job(ceilings(GEOMETRY, "cpu", "float32"))]).judged == [0, 1]


def test_samples_and_warm_ups_belong_to_their_case():
    told = state(*session(0, [0, 1], rounds=2), *session(1, [1], rounds=1))
    assert [sample.session for sample in told.samples[1]] == [0, 0, 1]
    assert len(told.samples[0]) == 2
    assert [warmup.session for warmup in told.warmups[1]] == [0, 1]
    assert [seen.session for seen in told.witnesses] == [0, 1]


def test_a_shard_of_before_other_devices_had_a_rate_is_read():
    old = journal.to_line(ENVIRONMENT)
    assert "rates" not in old
    assert journal.parse(old.encode()) == ENVIRONMENT
    assert ENVIRONMENT.rate("cuda") == ENVIRONMENT.macs_per_s
