"""JSON as attnbench writes it: what the standard library would, row by row."""

import json
import math
from typing import Any

import numpy as np
import pytest

from attnbench.report.json_text import json_pieces, json_text
from attnbench.statistics import Verdict

FOUND: dict[str, Any] = {
    "run": 'a "name"\n', "empty": {}, "none": [], "settings": {"α": 0.1, "deep": [{"x": [1, -2.5e-7]}]},
    "flags": [True, False, None], "verdict": Verdict.faster, "words": ("a", "b"),
}  # fmt: skip


def test_a_text_is_that_of_the_standard_library():
    assert json_text(FOUND) == json.dumps(FOUND, ensure_ascii=False, indent=2) + "\n"
    assert json_text([FOUND]) == json.dumps([FOUND], ensure_ascii=False, indent=2) + "\n"


@pytest.mark.parametrize("rows", [[], [FOUND], [FOUND, {}, 7]])
def test_rows_that_are_made_as_they_are_written_stand_as_a_list_would(rows: list[object]):
    pieces = list(json_pieces({"run": "mine", "rows": iter(rows), "after": FOUND}))
    assert "".join(pieces) == json_text({"run": "mine", "rows": rows, "after": FOUND})
    assert len(pieces) >= len(rows) + 4


def test_what_is_no_number_is_null():
    assert json_text([math.nan, {"x": -math.inf}]) == '[\n  null,\n  {\n    "x": null\n  }\n]\n'


def test_what_numpy_has_for_no_number_is_null_too():
    assert json.loads(json_text({"of numpy": [np.float64("nan"), np.float64(0.1)]})) == {
        "of numpy": [None, 0.1]
    }
