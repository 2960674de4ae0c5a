"""Values as rows and back: what kept runs hold, and what marks do."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import pytest

from attnbench.file_marks import FLAT, SPARSE
from attnbench.records.codec import from_row, to_row
from attnbench.records.record import RECORDS, append, read

RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize("run", sorted(path.parent.name for path in RESULTS.glob(f"*/{RECORDS}")))
def test_every_line_of_a_kept_run_is_read_and_written_back_equal(run: str, tmp_path: Path):
    kept = (RESULTS / run / RECORDS).read_text(encoding="utf-8").splitlines()
    append(tmp_path, read(RESULTS / run).records)
    written = (tmp_path / RECORDS).read_text(encoding="utf-8").splitlines()
    for old, new in zip(kept, written, strict=True):
        assert json.loads(new) == json.loads(old)


class Shade(StrEnum):
    dark = "dark"


@dataclass(frozen=True)
class Inner:
    shade: Shade
    parts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(metadata=FLAT)
    maybe: "Spare | None" = field(metadata=FLAT)
    nested: tuple[Inner, ...]
    odd: bool = field(default=False, metadata=SPARSE)


@dataclass(frozen=True)
class Spare:
    number: int | None
    words: tuple[str, ...]


WHOLE = Outer("one", Inner(Shade.dark, (1, 2)), Spare(3, ("a",)), (Inner(Shade.dark),), odd=True)
ROW = {
    "name": "one", "shade": "dark", "parts": [1, 2], "number": 3, "words": ["a"],
    "nested": [{"shade": "dark", "parts": []}], "odd": True,
}  # fmt: skip


def test_flat_values_lie_beside_their_owners_and_others_inside():
    assert to_row(WHOLE) == ROW
    assert from_row(Outer, ROW) == WHOLE


def test_a_flat_value_that_is_missing_is_nothing_in_each_of_its_fields():
    row = ROW | {"number": None, "words": []}
    found = from_row(Outer, row)
    assert found.maybe is None
    assert to_row(found) == row


def test_a_sparse_field_is_written_only_where_it_is_not_its_default():
    row = {name: value for name, value in ROW.items() if name != "odd"}
    assert not from_row(Outer, row).odd
    assert to_row(from_row(Outer, row)) == row


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**ROW, "colour": 1}, "colour missing or unknown in a outer"),
        ({name: value for name, value in ROW.items() if name != "shade"}, "shade missing or unknown"),
        ({**ROW, "shade": "light"}, "'light' is not a valid Shade"),
        ({**ROW, "nested": [7]}, "7 is not a inner"),
        ([], r"\[\] is not a outer"),
    ],
)
def test_a_row_that_is_not_of_its_kind_is_an_error_that_says_why(row: object, says: str):
    with pytest.raises(ValueError, match=says):
        from_row(Outer, row)
