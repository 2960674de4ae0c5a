"""Cells of CSV: what a spreadsheet would compute is none."""

import csv
import io

import pytest

from attnbench.report.csv_text import csv_text
from attnbench.report.export import table_csv
from attnbench.report.formats.long_csv import long_csv
from attnbench.report.formats.wide_csv import wide_csv
from tests.fakes import block, run_of

FORMULA = '=HYPERLINK("http://example.org")'


def cell(value: object) -> str:
    (line,) = csv.DictReader(io.StringIO(csv_text([{"cell": value}]), newline=""))
    return str(line["cell"])


@pytest.mark.parametrize("text", [FORMULA, "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\x00=1", "-", "=1"])
def test_a_text_that_a_spreadsheet_would_compute_is_behind_an_apostrophe(text: str):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1.5, "-1.5"),
        (-2, "-2"),
        ("-0.000001", "-0.000001"),
        ("+3e-5", "+3e-5"),
        ("a=1", "a=1"),
        ("'=1", "'=1"),
    ],
)
def test_numbers_stay_numbers_and_other_texts_as_they_are(value: object, text: str):
    assert cell(value) == text


def test_a_carriage_return_makes_no_new_line():
    assert cell("one\r=two\r\nthree") == "one\n=two\nthree"
    assert cell("\r=1") == "'\n=1"


def test_settings_and_words_that_begin_with_a_sign_are_behind_an_apostrophe_too():
    assert (cell({"=a": 1}), cell(("+x", "y"))) == ("'=a=1", "'+x y")


def test_every_csv_of_a_run_has_a_hostile_title_behind_an_apostrophe():
    run = run_of("mine", block({"msa": [0.4] * 6}, title=FORMULA))
    for text in (table_csv(run.rows), long_csv([run]), wide_csv([run])):
        assert {line["title"] for line in csv.DictReader(text.splitlines())} == {f"'{FORMULA}"}


def test_a_line_from_before_a_column_was_known_has_an_empty_cell_in_it():
    text = csv_text([{"a": 1}, {"a": 2, "b": "x,y"}, {"b": None}], columns=("first",))
    assert text == 'first,a,b\n,1,\n,2,"x,y"\n,,\n'
