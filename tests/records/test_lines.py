"""Files of a JSON object a line: which are none, and what is done to a last line."""

import gzip
from pathlib import Path

import pytest

from attnbench.errors import AttnbenchError
from attnbench.records.lines import is_whole, mend, parse, split

LINES = b'{"a": 1}\n{"b": "\xc2\xb2"}\n'
OTHERS = {
    "is compressed by gzip": gzip.compress(LINES, mtime=0),
    "is text in UTF-16": LINES.decode().encode("utf-16"),
    "is text in UTF-16; it": LINES.decode().encode("utf-16-le"),
    "has carriage returns alone between its lines": LINES.replace(b"\n", b"\r"),
    "does not begin with a JSON object": b"\0" * 9,
    "does not begin with a JSON object; it": b"PK\x03\x04\n\n",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


@pytest.mark.parametrize(("says", "content"), OTHERS.items())
def test_a_file_of_another_form_is_refused_by_name_and_left_as_it_is(path: Path, says: str, content: bytes):
    path.write_bytes(content)
    with pytest.raises(AttnbenchError, match=f"{path} {says}.*it is left as it is"):
        mend(path)
    assert path.read_bytes() == content
    with pytest.raises(AttnbenchError, match=f"{path} {says}"):
        split(content, path)


def test_a_mark_before_the_first_line_is_no_part_of_it(path: Path):
    assert split(b"\xef\xbb\xbf" + LINES, path) == split(LINES, path)
    path.write_bytes(b"\xef\xbb\xbf" + LINES[:8])
    mend(path)
    assert path.read_bytes() == b"\xef\xbb\xbf" + LINES[:9]


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (LINES, LINES),
        (LINES[:-1], LINES),
        (LINES[:-2], LINES[:9]),
        (LINES[:12], LINES[:9]),
        (LINES[:8], LINES[:9]),
        (LINES[:7], b""),
        (b"", b""),
    ],
    ids=["ended", "whole", "without a brace", "torn", "one whole", "one torn", "empty"],
)
def test_a_whole_last_line_is_ended_and_one_that_was_cut_off_is_gone(path: Path, content: bytes, left: bytes):
    path.write_bytes(content)
    mend(path)
    assert path.read_bytes() == left


def test_there_is_nothing_to_mend_where_there_is_no_file(path: Path):
    mend(path)
    assert not path.exists()


def test_a_whole_last_line_without_a_line_break_is_a_line(path: Path):
    assert split(LINES[:-1], path) == ([b'{"a": 1}', b'{"b": "\xc2\xb2"}'], b"")
    assert split(LINES[:-2], path) == ([b'{"a": 1}'], b'{"b": "\xc2\xb2"')


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b"9" * 5000, b"\xff", b"{"], ids=["depth", "digits", "latin", "torn"]
)
def test_what_python_cannot_read_is_not_json(line: bytes):
    with pytest.raises(ValueError, match=r"^not JSON in UTF-8$"):
        parse(line)


@pytest.mark.parametrize("line", [b"12", b"[1]", b""])
def test_what_may_be_a_part_of_something_is_not_whole(line: bytes):
    assert not is_whole(line)
