"""The command that puts faults into runs: that it would see what is lost, and that nothing is."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import typer

from attnbench.errors import AttnbenchError
from attnbench.records import journal, record_file
from attnbench.records.record import Record
from tests import fakes
from tests.faults import __main__ as faults
from tests.faults import comparison
from tests.faults.catalogue import FAULTS, cut_off, damage, empty
from tests.faults.command import ARGUMENTS, Command
from tests.faults.table import append, read, table
from tests.faults.trial import Try
from tests.shards import ENVIRONMENT, MSA, job, session

ROWS = [fakes.record("msa", [1.0, 2.0], key="a"), fakes.record("hilo", [1.0, 2.0], key="b")]
WHOLE = comparison.Whole(comparison.outcomes(ROWS), frozenset({"records.jsonl"}), 1.0)
THERE = comparison.samples(ROWS)
GOOD = Try(0, 0, "SIGKILL to both", 1.5, "-9 0", 1, 0, 0, 0, 0, 0, 9.5, "")


def test_rows_and_samples_that_are_gone_are_lost():
    shorter = replace(ROWS[1], samples=ROWS[1].samples[:1])
    assert comparison.lost(ROWS, WHOLE, THERE) == 0
    assert comparison.lost(ROWS[:1], WHOLE, set()) == 1
    assert comparison.lost([ROWS[0], shorter], WHOLE, THERE) == 1
    assert comparison.lost([ROWS[0], replace(ROWS[1], outcome="crashed")], WHOLE, THERE) == 1
    assert comparison.lost([ROWS[0], replace(ROWS[1], cost=None)], WHOLE, THERE) == 1


def _again(row: Record) -> list[Record]:
    return [row, replace(row, block="another", samples=(), warmups=(), witnesses=())]


@pytest.mark.parametrize(
    "rows",
    [
        _again(ROWS[0]),
        [replace(ROWS[0], samples=(*ROWS[0].samples, ROWS[0].samples[0]))],
        [replace(ROWS[0], warmups=(*ROWS[0].warmups, ROWS[0].warmups[0]))],
        [replace(ROWS[0], witnesses=(fakes.witness(), fakes.witness()))],
        [replace(ROWS[0], key="c")],
    ],
    ids=["row", "sample", "warm-up", "end of a session", "row that nobody asked for"],
)
def test_what_is_there_twice_is_doubled(rows: list[Record]):
    assert comparison.doubled(ROWS[:1], WHOLE.outcomes) == 0
    assert comparison.doubled(rows, WHOLE.outcomes) == 1


def test_samples_of_rows_and_of_shards_that_can_be_read_are_there(tmp_path: Path):
    record_file.append(tmp_path, [replace(ROWS[0], complete=False)])
    journal.save(tmp_path / "shard-a.jsonl", [job((MSA,)), ENVIRONMENT, *session(0, [0], rounds=3)])
    (tmp_path / "shard-b.jsonl").write_text("{}\n")
    assert len(comparison.samples_there(tmp_path)) == len(ROWS[0].samples) + 3


def test_files_that_are_no_runs_and_temporary_ones_are_left_behind(tmp_path: Path):
    command = Command(tmp_path)
    command.folder.mkdir()
    for path in (command.folder / "records.jsonl", command.folder / "plan.json", command.temporary / "x"):
        path.touch()
    assert comparison.left_behind(command, WHOLE) == ["x", "plan.json"]


@pytest.mark.slow
def test_a_process_that_lives_on_is_left_behind_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    command = Command(tmp_path)
    sleeper = ["-c", "import time; time.sleep(60)"]
    with subprocess.Popen([sys.executable, *sleeper], env={"ATTNBENCH_FAULTS": command.mark}) as process:
        assert comparison.left_behind(command, WHOLE) == [f"process {process.pid}"]
        command.end()
    assert process.returncode == -9


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "shard-a.jsonl"
    journal.save(path, [job((MSA,)), ENVIRONMENT, *session(0, [0])])
    return path


@pytest.mark.parametrize("seed", range(5))
def test_a_line_that_is_cut_off_is_the_last_one_alone(shard: Path, seed: int):
    facts = journal.read(shard)
    cut_off(shard, Random(seed))
    assert journal.read(shard) == facts[:-1]


@pytest.mark.parametrize("harm", [damage, empty])
@pytest.mark.parametrize("seed", range(5))
def test_a_shard_that_is_harmed_cannot_be_read(shard: Path, harm: Callable[[Path, Random], None], seed: int):
    harm(shard, Random(seed))
    with pytest.raises(AttnbenchError, match="Remove the file"):
        journal.read(shard)


def test_each_fault_comes_once_in_a_turn_in_an_order_of_the_seed():
    turns = [[faults.chosen(list(FAULTS), seed, n).name for n in range(len(FAULTS))] for seed in (1, 1, 2)]
    assert sorted(turns[0]) == sorted(fault.name for fault in FAULTS)
    assert turns[0] == turns[1] != turns[2]


def test_tries_are_read_as_they_were_written(tmp_path: Path):
    tries = [GOOD, replace(GOOD, number=1, lost=3, said='a, "b"\nc')]
    for each in tries:
        append(tmp_path / "tries.csv", each)
    assert read(tmp_path / "tries.csv") == tries
    assert read(tmp_path / "none.csv") == []


def test_a_table_has_a_line_a_fault_that_came_and_their_sums():
    heading, first, total = table(
        [GOOD, replace(GOOD, lost=3)], ["SIGKILL to both", "a full disk"]
    ).splitlines()
    assert " ".join(heading.split()) == "fault times resumed lost doubled stuck left behind tracebacks"
    assert " ".join(first.split()) == "SIGKILL to both 2 2 3 0 0 0 0"
    assert " ".join(total.split()) == "all 2 2 3 0 0 0 0"


@pytest.mark.parametrize(
    ("what", "status"),
    [({}, 0), *(({name: 1}, 1) for name in ("lost", "doubled", "stuck", "left_behind", "tracebacks"))],
)
def test_the_command_fails_where_anything_was_not_as_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: dict[str, Any], status: int
):
    monkeypatch.setattr(faults, "left_alone", lambda _: WHOLE)
    monkeypatch.setattr(faults, "attempt", lambda number, *_: replace(GOOD, number=number, **what))
    with pytest.raises(typer.Exit) as ended:
        faults.main(times=2, seed=0, out=tmp_path, only="SIGKILL")
    assert ended.value.exit_code == status
    assert [each.number for each in read(tmp_path / "tries.csv")] == [0, 1]
    assert "2 runs of `attnbench run msa hilo xca" in (tmp_path / "faults.txt").read_text()


def test_tries_that_are_there_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    append(tmp_path / "tries.csv", replace(GOOD, lost=1))
    monkeypatch.setattr(faults, "left_alone", lambda _: WHOLE)
    monkeypatch.setattr(faults, "attempt", lambda number, *_: replace(GOOD, number=number))
    with pytest.raises(typer.Exit) as ended:
        faults.main(times=2, seed=0, out=tmp_path, only="")
    assert ended.value.exit_code == 1
    assert [each.lost for each in read(tmp_path / "tries.csv")] == [1, 0]


def test_tries_of_another_seed_are_not_gone_on_with(tmp_path: Path):
    append(tmp_path / "tries.csv", GOOD)
    with pytest.raises(typer.BadParameter, match="has tries of another seed"):
        faults.main(times=2, seed=1, out=tmp_path, only="")


def test_it_is_a_command_that_knows_its_faults():
    words = [sys.executable, "-m", "tests.faults", "--only", "an earthquake"]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no fault has 'an earthquake' in its name" in done.stderr


@pytest.mark.slow
def test_three_runs_with_a_fault_each_end_as_one_that_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    one_block = [{"2,3": "2"}.get(word, word) for word in ARGUMENTS if word != "xca"]
    monkeypatch.setattr("tests.faults.command.ARGUMENTS", one_block)
    names = {"SIGINT to the command", "SIGKILL to its worker", "killed, and the shard emptied"}
    monkeypatch.setattr(faults, "FAULTS", [fault for fault in FAULTS if fault.name in names])
    with pytest.raises(typer.Exit) as ended:
        faults.main(times=3, seed=4, out=tmp_path, only="")
    tries = read(tmp_path / "tries.csv")
    assert ended.value.exit_code == 0, tries
    assert {each.fault for each in tries if not each.is_bad} == names
