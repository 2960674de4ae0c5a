"""What layers are called where settings of one mechanism stand beside each other."""

from typing import Any

from attnbench.analysis.rows import Row, rows
from attnbench.analysis.selection import Selection
from attnbench.report.figure.run import setting_pages
from attnbench.report.figure.titles import with_values
from tests.fakes import record
from tests.report.figure.pages import figures


def layer(label: str, title: str, **settings: Any) -> Row:
    (row,) = rows([record(label, [0.1] * 6, title=title, settings=settings)])
    return row


MASKED = [
    layer("shifted-window", "Shifted Window", window=7, mask=-100.0),
    layer("shifted-window:mask=-1000.0", "Shifted Window (mask=-1000.0)", window=7, mask=-1000.0),
]
MSA = layer("msa", "MSA")


def titles(table: list[Row]) -> list[str]:
    return [row.record.case.title for row in with_values(table)]


def test_each_setting_of_a_sweep_says_its_value_and_the_default_its_own():
    assert titles([MSA, *MASKED]) == ["MSA", "Shifted Window (mask=-100)", "Shifted Window (mask=-1000)"]


def test_all_settings_that_differ_are_said_by_all():
    hilo = [
        layer("hilo:window=8", "HiLo (window=8)", alpha=0.9, window=8),
        layer("hilo:alpha=0.5", "HiLo (alpha=0.5)", alpha=0.5, window=2),
    ]
    assert titles(hilo) == ["HiLo (alpha=0.9, window=8)", "HiLo (alpha=0.5, window=2)"]


def test_one_setting_alone_keeps_its_title():
    assert titles([MASKED[1], MSA]) == ["Shifted Window (mask=-1000.0)", "MSA"]


def test_several_sizes_of_one_layer_are_no_sweep():
    assert titles([MASKED[0], MASKED[0]]) == ["Shifted Window"] * 2


def test_a_name_that_a_reader_gave_stays():
    named = Selection(names={"shifted-window": "Ours"}).among(MASKED)
    assert titles(named) == ["Ours", "Shifted Window (mask=-1000.0)"]


def test_bars_have_these_names():
    axes = figures(setting_pages, MASKED)["throughput"].axes[0]
    assert {label.get_text() for label in axes.get_yticklabels()} == {
        "Shifted Window\n(mask=-100)", "Shifted Window\n(mask=-1000)",
    }  # fmt: skip
