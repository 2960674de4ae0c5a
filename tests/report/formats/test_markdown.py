"""Markdown tables."""

from dataclasses import replace

import pytest

from attnbench.records.record import Memory, Record
from attnbench.report.formats.markdown import markdown
from attnbench.report.spread import Spread
from attnbench.report.table_style import TableStyle, read_columns
from tests.fakes import MACHINE, block, changed, record, run_of, witness

SPREAD = [0.99, 1.0, 1.01] * 6
TIMES = {
    "msa": [0.4 * s for s in SPREAD],
    "hilo": [0.2 * s for s in SPREAD],
    "sra": [0.25 * s for s in reversed(SPREAD)],
}


def text_of(**runs: list[Record]) -> str:
    return markdown([run_of(name, records) for name, records in runs.items()])


def cells(text: str, title: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {title} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


ALIGNED = """\
| Mechanism | Params (M) | FLOPs (M) | Throughput (img/s) [95 %] |          × MSA [95 %] |  verdict |
| :-------- | ---------: | --------: | ------------------------: | --------------------: | -------: |
| MSA       |       1.00 |     500.0 |         20.0 [19.8, 20.2] |                  1.00 | baseline |
| HILO      |       1.00 |     500.0 |     **40.0** [39.6, 40.4] | **2.00** [2.00, 2.00] |   faster |
| SRA       |       1.00 |     500.0 |       *32.0* [31.7, 32.3] |  ~*1.60* [1.57, 1.63] |   faster |
"""


def test_a_table_is_aligned_for_readers_of_its_source():
    assert text_of(mine=block(TIMES, batch=8)).startswith(f"{ALIGNED}\n14×14 tokens")


def test_a_kernel_of_the_layers_own_is_told_in_its_row():
    msa, hilo, *others = block(TIMES)
    text = text_of(mine=[msa, changed(hilo, backends=("flash",)), *others])
    assert cells(text, "HILO (own kernel)")[-1] == "faster"
    assert "Own kernel = its code asks for torch's fused attention by itself" in text


def test_the_papers_columns_stand_beside_ours_in_its_setting():
    text = text_of(mine=block(TIMES))
    assert cells(text, "Mechanism")[1:5] == ["Params (M)", "paper", "FLOPs (M)", "paper"]
    assert cells(text, "HILO")[1:9] == [
        "1.00", "2.20", "500.0", "298.3", "**320** [317, 323]", "1,029", "**2.00** [2.00, 2.00]", "2.04",
    ]  # fmt: skip


def test_columns_of_several_groups_carry_their_headings():
    other = replace(MACHINE, cpu="Slide_rule")
    text = text_of(here=block(TIMES, batch=8), there=[record("hilo", [0.1] * 6, batch=8, machine=other)])
    assert cells(text, "Mechanism")[3:] == [
        "Abacus: Throughput (img/s) [95 %]", "Abacus: × MSA [95 %]", "verdict",
        "Slide\\_rule: Throughput (img/s) [95 %]", "verdict",
    ]  # fmt: skip
    assert cells(text, "MSA")[-2:] == ["—", "—"]


def test_each_setting_has_a_table_and_a_caption():
    text = text_of(mine=[record("msa", [0.4] * 6, height=7), record("msa", [0.4] * 6, height=28)])
    assert text.count("| :-") == 2
    assert "\n\n7×14 tokens, dim 768, 12 heads, batch 64, float32, explicit kernel, inference. " in text
    assert "\n\n28×14 tokens, dim 768" in text


def test_a_caption_says_machine_protocol_and_meaning():
    caption = text_of(mine=block(TIMES)).rpartition("\n\n")[2]
    assert "Abacus (2 cores), 2 threads, AVX2, torch 2.13.0" in caption
    assert "Medians of 18 paired rounds in 1 session, 95 % bootstrap intervals; noise floor ±0.0 %" in caption
    assert "paper: Table IV, batch 64, Intel i9-10900X and NVIDIA RTX 3090." in caption
    assert "Bold = best, italic = second best of a column. Same = within ±3 %;" in caption


MEMORY = Memory(2**20, 2**20, "cpu", True, None, None)
MEANINGS = {
    "macs": "1 FLOP = 1 multiply-add",
    "macs_published": "Paper: Table IV",
    "memory_bytes": "Memory = the most",
    "verdict": "Same = within ±3 %",
}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("macs", ["macs"]),
        ("imgs_per_s_published", ["macs_published"]),
        ("memory_bytes", ["memory_bytes"]),
        ("verdict", ["verdict"]),
        ("params", []),
    ],
)
def test_a_caption_explains_no_column_that_is_not_there(asked: str, told: list[str]):
    text = markdown([run_of("mine", block(TIMES, memory=MEMORY))], TableStyle(read_columns([asked])))
    assert [name for name, meaning in MEANINGS.items() if meaning in text] == told


def test_what_differs_between_groups_is_said_of_each():
    few = {label: times[:6] for label, times in TIMES.items()}
    caption = text_of(before=block(TIMES), after=block(few)).rpartition("\n\n")[2]
    assert "before: medians of 18 paired rounds" in caption
    assert "after: medians of 6 paired rounds" in caption
    assert caption.count("Abacus (2 cores)") == 1
    untimed = text_of(before=block(TIMES), after=[record("van", outcome="crashed")])
    assert "after:" not in untimed.rpartition("\n\n")[2]


def test_a_row_without_a_time_says_what_became_of_it_and_why():
    text = text_of(mine=[*block(TIMES), record("van", outcome="out_of_memory", reason="it needs 9 GiB.")])
    assert cells(text, "VAN")[5:] == ["out of memory", "59", "—", "0.12", "—"]
    assert "VAN (cpu 14x14 batch 64): out of memory: it needs 9 GiB. Bold = best" in text


def test_a_title_keeps_what_markdown_would_take_for_its_own():
    title = "A|b_c *d* <e>"
    text = text_of(mine=[*block({"x": [0.4] * 6}, title=title), record("y", outcome="crashed", title=title)])
    escaped = "A\\|b\\_c \\*d\\* \\<e\\>"
    assert f"| {escaped} (x) |" in text
    assert f"× {escaped} (x) |" in text
    assert f"{escaped} (y) (cpu 14x14 batch 64): crashed" in text


def test_a_title_of_several_lines_or_with_hidden_characters_stays_a_cell():
    text = text_of(mine=block({"msa": [0.4] * 6}, title="one\ntwo\r\u202ethree"))
    assert "| one two \ufffdthree |" in text
    assert not set(text) & set("\r\u202e")


def test_quartiles_stand_behind_their_median_and_are_named():
    text = markdown([run_of("mine", block(TIMES, batch=8))], TableStyle(spread=Spread.iqr))
    assert cells(text, "Mechanism")[3:5] == ["Throughput (img/s) [IQR]", "× MSA [IQR]"]
    assert cells(text, "MSA")[3:5] == ["20.0 [19.8, 20.2]", "1.00"]
    assert "Medians of 18 paired rounds in 1 session, \\[first, third quartile\\] of their samples" in text


def test_the_reasons_of_unclear_rows_are_kept():
    times = {"msa": [0.4, 0.41] * 9, "hilo": [0.3, 0.55] * 9}
    text = text_of(mine=block(times, witnesses=(witness(),)))
    assert cells(text, "HILO")[-1] == "unclear"
    assert "Unclear: HILO. ±2 % needs" in text
    assert "Unclear: " not in text_of(mine=block(TIMES))


def test_a_bare_table_has_a_caption_of_one_line():
    text = markdown([run_of("mine", block(TIMES))], TableStyle(bare=True))
    assert text.splitlines()[-1] == (
        "14×14 tokens, dim 768, 12 heads, batch 64, float32, explicit kernel, inference."
    )


def test_words_that_are_asked_for_are_cells():
    style = TableStyle(read_columns(["label", "verdict", "imgs_per_s_published", "rounds", "impossible"]))
    text = markdown([run_of("mine", block(TIMES))], style)
    assert cells(text, "Mechanism")[1:] == ["label", "verdict", "paper", "rounds", "impossible"]
    assert cells(text, "HILO")[1:] == ["hilo", "faster", "1,029", "18", "no"]
