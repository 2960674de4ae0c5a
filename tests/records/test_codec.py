"""Values as rows and back: what kept runs hold, and what marks do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest

from attnbench.file_marks import FLAT, SPARSE
from attnbench.records.codec import from_row, to_row
from attnbench.records.readers import sharing
from attnbench.records.record import Cost
from attnbench.records.record_file import RECORDS, append, read

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


def test_a_flat_value_of_noughts_is_there():
    noughts = Outer("one", Inner(Shade.dark), Spare(0, ()), ())
    assert from_row(Outer, to_row(noughts)) == noughts


def test_a_sparse_field_is_written_only_where_it_is_not_its_default():
    row = {name: value for name, value in ROW.items() if name != "odd"}
    assert not from_row(Outer, row).odd
    assert to_row(from_row(Outer, row)) == row


def test_a_sparse_field_may_be_nought_where_its_default_is_none():
    cost = Cost(1, 5, {}, (), 3, macs_of_another=0)
    assert from_row(Cost, to_row(cost)) == cost


def test_what_is_kept_once_is_told_apart_by_its_type():
    read = sharing(lambda part: part)
    assert [read(1), read("1"), read(1)] == [1, "1", 1]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**ROW, "colour": 1}, "colour missing or unknown in a outer"),
        ({name: value for name, value in ROW.items() if name != "shade"}, "shade missing or unknown"),
        ({**ROW, "shade": "light"}, "^shade: 'light' is not one of dark$"),
        ({**ROW, "nested": [7]}, r"^nested\[0\]: 7 is not a inner$"),
        (
            {**ROW, "nested": [{"shade": "dark", "parts": [1, "2"]}]},
            r"^nested\[0\].parts\[1\]: '2' is not a whole",
        ),
        ([], r"\[\] is not a outer"),
    ],
)
def test_a_row_that_is_not_of_its_kind_is_an_error_that_says_why(row: object, says: str):
    with pytest.raises(ValueError, match=says):
        from_row(Outer, row)


@dataclass(frozen=True)
class Numbers:
    seconds: float = 1.0
    seed: int = 0
    macs: int | None = None
    stable: bool = True
    settings: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    task: Literal["count", "measure"] = "count"
    kernel: str = field(default="fused", metadata={"values": ("fused", "math")})
    graph: bool = field(default=False, metadata={"values": (False, True)})


def numbers(**changes: object) -> Numbers:
    return from_row(Numbers, {**to_row(Numbers()), **changes})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("seconds", float("nan"), "nan is not a finite number above 0"),
        ("seconds", float("inf"), "inf is not a finite number above 0"),
        ("seconds", 10**400, "is not a finite number above 0"),
        ("seconds", 1e-300, "1e-300 is not a finite number above 0"),
        ("seconds", 0, "0 is not a finite number above 0"),
        ("seconds", "1", "'1' is not a finite number above 0"),
        ("seconds", True, "True is not a finite number above 0"),
        ("seconds", None, "None is not a finite number above 0"),
        ("macs", -1, "-1 is not a whole number of at least 0"),
        ("macs", 1.5, "1.5 is not a whole number of at least 0"),
        ("seed", 0.5, "0.5 is not a whole number"),
        ("stable", 1, "1 is not true or false"),
        ("settings", [], r"\[\] is not an object"),
        ("settings", {"alpha": None}, "None is not true or false, a finite number or a text"),
        ("task", "weigh", "'weigh' is not one of count, measure"),
        ("kernel", "flesh", "'flesh' is not one of fused, math"),
        ("graph", 1, "1 is not one of False, True"),
        ("kernel", ["fused"], r"\['fused'\] is not one of fused, math"),
    ],
)  # fmt: skip
def test_a_value_that_its_field_cannot_have_is_told_with_both(name: str, value: object, says: str):
    with pytest.raises(ValueError, match=rf"^{name}(\.alpha)?: .*{says}$"):
        numbers(**{name: value})


def test_a_value_that_its_field_may_have_is_read_as_it_is():
    assert numbers(seconds=2, seed=-1, macs=3, settings={"alpha": -0.5, "norm": False}) == Numbers(
        2, -1, 3, settings={"alpha": -0.5, "norm": False}
    )


def test_a_long_value_is_told_by_its_beginning():
    with pytest.raises(ValueError, match=r"^seed: 'x{12}\.\.\.x{13}' is not a whole number$"):
        numbers(seed="x" * 10**6)
