"""Tables and the notes under them."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
from rich.console import Console

from attnbench.report.export import write_table
from attnbench.report.metrics import rows
from attnbench.report.table import notes, result_table
from tests.fakes import record

TIMES = [0.4, 0.41, 0.39, 0.4, 0.4, 0.4]


def text_of(table: object) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_a_table_has_a_line_a_mechanism_and_columns_a_device():
    gpu = [replace(record(label, [t / 100 for t in TIMES]), device="cuda") for label in ("msa", "hilo")]
    text = text_of(result_table(rows([record("msa", TIMES), record("hilo", TIMES), *gpu])))
    assert "CPU img/s" in text
    assert "CUDA img/s" in text
    (line,) = (line for line in text.splitlines() if "HILO" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[:5] == ["HILO", "1.00", "2.20", "500.0", "298.3"]
    assert cells[5].startswith("160 [")
    assert (cells[6], cells[8]) == ("1,029", "2.04")
    assert cells[9].startswith("16,000 [")
    assert (cells[10], cells[12]) == ("5,104", "1.16")


def test_the_title_says_machine_and_setting():
    text = text_of(result_table(rows([record("msa", TIMES)])))
    assert "Abacus, 2 threads, torch 2.13.0" in text
    assert "14×14 tokens, dim 768, 12 heads, batch 64, float32, explicit kernel, inference" in text
    assert "medians of 6 paired rounds in 1 session" in text


def test_a_lower_bound_is_marked_and_explained():
    table = rows([record("mine", TIMES, uncounted=("aten::cdist",))])
    assert "≥ 500.0" in text_of(result_table(table))
    assert any("no formula for aten::cdist" in note for note in notes(table))


def test_notes_tell_what_is_wrong_with_a_row_and_nothing_else():
    assert notes(rows([record("msa", TIMES)])) == []
    assert notes(rows([record("mine", (), outcome="unsupported", reason="too square")])) == [
        "MINE (cpu 14x14) is unsupported: too square"
    ]
    assert notes(rows([record("mine", TIMES, macs_closed_form=7)])) == [
        "MINE (cpu 14x14): 500,000,000 multiply-adds counted, but its closed form is 7."
    ]
    assert "Fewer than 5 rounds" in notes(rows([record("msa", TIMES[:4])]))[0]


def test_the_csv_keeps_base_units_and_exact_counts(tmp_path: Path):
    path = write_table(
        rows([record("msa", TIMES), record("mine", (), outcome="wrong", reason="it is late", macs=None)]),
        tmp_path,
    )
    table = pd.read_csv(path).to_dict("records")
    assert [line["name"] for line in table] == ["msa", "mine"]
    assert table[0]["macs"] == 500_000_000
    assert table[0]["time_s"] == 0.4
    assert table[0]["published_imgs_per_s"] == 505
    assert table[1]["reason"] == "it is late"
    assert math.isnan(table[1]["imgs_per_s"])
    assert "500000000," in path.read_text()
