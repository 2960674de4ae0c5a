"""Shards that are damaged, of another version, or gone: what is said, and what to do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.errors import AttnbenchError
from attnbench.records import journal
from attnbench.records.journal import Began, Fact
from tests.shards import CASES, job, timed

FACTS: list[Fact] = [job(), Began(0), timed(1)]
KEPT = "the rows in records.jsonl stay, and the same command measures the block again"


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "shard-a.jsonl"
    journal.save(path, FACTS)
    return path


def said_of(shard: Path) -> str:
    with pytest.raises(AttnbenchError) as caught:
        journal.read(shard)
    return str(caught.value).removeprefix(f"{shard}")


def test_a_shard_says_its_schema_in_its_first_line(shard: Path):
    assert json.loads(shard.read_text().splitlines()[0])["schema"] == journal.SCHEMA


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda row: row | {"schema": 2, "colour": "red"},
            " has schema 2, and this attnbench reads schema 1.",
        ),
        (lambda row: {name: row[name] for name in row if name != "schema"}, " has no schema, and this"),
    ],
    ids=["newer", "older"],
)
def test_a_shard_of_another_version_is_told_with_both_ways_out(
    shard: Path, change: Callable[[dict[str, object]], dict[str, object]], says: str
):
    first, *others = shard.read_text().splitlines()
    shard.write_text("\n".join([json.dumps(change(json.loads(first))), *others]) + "\n")
    assert said_of(shard).startswith(says)
    assert said_of(shard).endswith(f"Go on with the version that wrote it, or remove the file: {KEPT}.")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("", "{broken\n", "line 1 is damaged: not JSON in UTF-8"),
        ('"seconds": 0.1', '"seconds": NaN', "line 3 is damaged: sample.seconds: nan is not a finite"),
        ('"seconds": 0.1', '"seconds": -1', "line 3 is damaged: sample.seconds: -1 is not a finite"),
        ('"case": 1', '"case": 5', "line 3 is damaged: case: 5 is none of the 5 of its job"),
        ('"Timed"', '"Tamed"', "line 3 is damaged: it is no fact"),
        ('"Timed"', "[]", "line 3 is damaged: it is no fact"),
        ('"dim": 8', '"dim": 0', "line 1 is damaged: dim is 0; it must be at least 1"),
    ],
)
def test_a_damaged_line_is_told_with_its_number_and_the_remedy(shard: Path, old: str, new: str, says: str):
    shard.write_text(shard.read_text().replace(old, new, 1) if old else new + shard.read_text())
    assert said_of(shard).startswith(f", {says}")
    assert said_of(shard).endswith(f". Remove the file: {KEPT}.")


@pytest.mark.parametrize("content", ["", '{"fact": "Began", "session": 0}\n', '{"fa'])
def test_a_shard_without_its_job_is_told_with_the_remedy(shard: Path, content: str):
    shard.write_text(content)
    assert said_of(shard) == f" does not begin with a job: it is empty, or damaged. Remove the file: {KEPT}."


def test_a_shard_that_was_removed_is_told_with_what_is_lost(shard: Path):
    shard.unlink()
    assert said_of(shard) == f" is gone: it was removed while its block was measured; {KEPT}."
    with pytest.raises(AttnbenchError, match="is gone"):
        journal.news(shard, 0)


def test_news_are_the_whole_lines_from_where_they_ended_before(shard: Path):
    told, end = journal.news(shard, 0)
    assert (told, end) == (FACTS, shard.stat().st_size)
    with shard.open("a") as file:
        file.write(journal.to_line(Began(1)) + journal.to_line(Began(2))[:-1])
    told, end = journal.news(shard, end)
    assert (told, end) == ([Began(1)], shard.stat().st_size - len(journal.to_line(Began(2))) + 1)


def test_news_that_are_damaged_are_told_with_their_place(shard: Path):
    size = shard.stat().st_size
    with shard.open("a") as file:
        file.write("{broken\n")
    with pytest.raises(AttnbenchError, match=f"{shard}, a line after byte {size} is damaged: not JSON"):
        journal.news(shard, size)


def test_a_number_that_json_has_not_is_not_written():
    with pytest.raises(ValueError, match="JSON compliant"):
        journal.to_line(timed(0, seconds=float("nan")))


def test_a_job_has_no_case_beyond_its_last(shard: Path):
    journal.save(shard, [timed(len(CASES) - 1)])
    assert journal.read(shard)[-1] == timed(len(CASES) - 1)
    journal.save(shard, [timed(len(CASES))])
    assert said_of(shard).startswith(", line 5 is damaged: case: 5")


def test_a_shard_has_one_job(shard: Path):
    journal.save(shard, [job()])
    assert said_of(shard).startswith(", line 4 is damaged: it is a second job.")
