"""Rows by the beginnings of their lines."""

import json
from pathlib import Path

import pytest

from attnbench.errors import AttnbenchError
from attnbench.records import heads as module
from attnbench.records.heads import CompleteKeys, heads
from attnbench.records.record_file import RECORDS, append
from tests.fakes import record


def test_what_asks_for_the_beginnings_of_lines_tells_one_that_is_damaged(tmp_path: Path):
    append(tmp_path, [record("msa")])
    with (tmp_path / RECORDS).open("ab") as file:
        file.write(b'{"key": "a1", "block": \xff}\n')
    with pytest.raises(AttnbenchError, match=r"records\.jsonl, line 2 is not JSON in UTF-8\. .*remove it"):
        list(heads(tmp_path))


@pytest.fixture
def read_lines(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines that were looked into."""
    looked: list[bytes] = []
    head_of = module._head

    def looking(line: bytes, path: Path, start: int) -> module.Head:
        looked.append(line)
        return head_of(line, path, start)

    monkeypatch.setattr(module, "_head", looking)
    return looked


def test_a_file_that_grows_is_read_on_where_it_ended(tmp_path: Path, read_lines: list[bytes]):
    (tmp_path / RECORDS).touch()
    there = CompleteKeys(tmp_path)
    for number in range(10):
        append(tmp_path, [record("msa", key=f"k{number}")])
        assert ("block", f"k{number}") in there.read_on()
    assert len(read_lines) == 10


def test_rows_of_an_interrupted_run_need_more(tmp_path: Path):
    append(tmp_path, [record("msa", key="whole"), record("msa", key="part", complete=False)])
    there = CompleteKeys(tmp_path).read_on()
    assert (("block", "whole") in there, ("block", "part") in there) == (True, False)


def test_a_row_that_is_being_written_is_read_once_it_is_there(tmp_path: Path):
    append(tmp_path, [record("msa", key="first"), record("msa", key="last")])
    whole = (tmp_path / RECORDS).read_bytes()
    (tmp_path / RECORDS).write_bytes(whole[:-100])
    there = CompleteKeys(tmp_path).read_on()
    assert ("block", "last") not in there
    (tmp_path / RECORDS).write_bytes(whole)
    assert ("block", "last") in there.read_on()


def test_a_setting_that_is_called_complete_is_not_the_rows_word(tmp_path: Path):
    append(tmp_path, [record("msa", key="part", complete=False, settings={"complete": True})])
    (head,) = heads(tmp_path)
    assert (head.key, head.block, head.complete) == ("part", "block", False)


def test_lines_in_another_order_are_read_whole(tmp_path: Path):
    append(tmp_path, [record("msa", key="k")])
    row = json.loads((tmp_path / RECORDS).read_text())
    (tmp_path / RECORDS).write_text(json.dumps(dict(reversed(row.items()))) + "\n")
    (head,) = heads(tmp_path)
    assert (head.key, head.block, head.complete) == ("k", "block", True)


def test_a_damaged_line_has_its_number_wherever_reading_began(tmp_path: Path):
    append(tmp_path, [record("msa"), record("hilo")])
    begun = (tmp_path / RECORDS).stat().st_size
    with (tmp_path / RECORDS).open("ab") as file:
        file.write(b"\n{damaged}\n")
    with pytest.raises(AttnbenchError, match=r"records\.jsonl, line 4 is not JSON"):
        list(heads(tmp_path, since=begun))
