"""The columns that every format shares."""

from dataclasses import replace
from typing import Any

import pytest

from attnbench import Geometry
from attnbench.analysis.rows import Row, rows
from attnbench.cases.case import Role
from attnbench.report import columns
from attnbench.report.column import Standing, View, standings
from attnbench.report.columns import (
    COLUMNS,
    FLOPS,
    LIMIT,
    MEMORY,
    PARAMS,
    QUANTITIES,
    SPEED,
    THROUGHPUT,
    TIME,
    verdict,
)
from attnbench.report.paper_table import paper_tables
from attnbench.report.terminal.table import result_table
from tests.fakes import MEMORY as MEMORY_OF_A_CALL
from tests.fakes import block, changed, record, run_of

SLOW = [0.4, 0.41, 0.39, 0.4, 0.4, 0.4] * 3
FAST = [0.2, 0.21, 0.19, 0.2, 0.2, 0.2] * 3


def only(**changes: Any) -> Row:
    """The one row of a run in which the baseline was measured."""
    return rows(block({"msa": SLOW}, **changes))[0]


def test_values_are_in_the_unit_of_their_column():
    row = only(memory=MEMORY_OF_A_CALL)
    shown = [found and found.value for column in COLUMNS for found in [column.in_unit(row)]]
    assert shown == pytest.approx([1.0, 500.0, 1000.0, 400.0, 160.0, 1.0, None, None, None])
    base = [found and found.value for column in COLUMNS for found in [column.estimate(row)]]
    assert base == pytest.approx([1_000_000, 500_000_000, 1000 * 2**20, 0.4, 160.0, 1.0, None, None, None])


def test_the_ends_of_a_time_are_in_milliseconds_too():
    found = TIME.in_unit(rows(block({"msa": [0.4, 0.5] * 9}))[0])
    assert found
    assert (found.low, found.value, found.high) == pytest.approx((400.0, 450.0, 500.0))


def test_the_papers_values_stand_in_the_same_units_with_the_papers_digits():
    row = rows(block({"msa": SLOW, "hilo": FAST}))[1]
    assert [column.published_text(row) for column in COLUMNS] == [
        "2.20",
        "298.3",
        "",
        "",
        "1,029",
        "2.04",
        *("", "", ""),
    ]


def test_the_papers_counts_of_models_are_whole_and_its_ratios_are_not():
    times = {"litv2-s/msa": SLOW, "litv2-s/hilo": FAST}
    row = rows(block(times, device="cuda", geometry=Geometry.image(224, 224)))[1]
    shown = [column.published_text(row) for column in (PARAMS, FLOPS, THROUGHPUT, SPEED)]
    assert shown == ["28", "3,700", "1,471", "1.14"]


def test_outside_the_papers_setting_there_is_no_published_value():
    assert {column.published_text(only(batch=8)) for column in COLUMNS} == {""}


def test_what_was_not_measured_has_no_value():
    row = rows([record("msa", outcome="crashed", params=None, macs=None)])[0]
    assert [column.estimate(row) for column in COLUMNS] == [None] * 9
    assert [column.text(row) for column in (PARAMS, MEMORY, SPEED, LIMIT)] == ["—"] * 4


def test_a_row_without_a_time_says_what_became_of_it_where_the_time_would_be():
    row = rows([record("msa", outcome="out_of_memory")])[0]
    assert [column.text(row) for column in (TIME, THROUGHPUT)] == ["out of memory"] * 2
    assert PARAMS.text(row) == "1.00"


def test_a_row_with_a_time_but_no_limit_has_a_dash():
    assert LIMIT.text(only()) == "—"


def test_values_that_need_a_word_of_caution_are_marked():
    row = rows(block({"msa": [0.3, 0.5] * 9}, uncounted=("aten::cdist",)))[0]
    assert FLOPS.text(row) == "≥ 500.0"
    assert THROUGHPUT.text(row).startswith("~160 [")
    assert TIME.text(row).startswith("~400 [")


def test_the_share_of_the_limit_comes_from_ceilings():
    half: dict[str, Any] = {"role": Role.ceiling, "batch": 1, "macs": 64 * 500_000_000, "least_bytes": 10**9}
    limits = [record(f"ceiling/{name}", FAST, mechanism=name, **half) for name in ("matmul", "copy")]
    found = LIMIT.estimate(rows([*block({"msa": SLOW}), *limits])[0])
    assert found
    assert found.value == pytest.approx(0.5)


def test_headings_carry_units_where_there_are_any():
    assert [column.heading for column in COLUMNS] == [
        "Params (M)", "FLOPs (M)", "Memory (MiB)", "Time (ms)", "Throughput (img/s)", "Speed-up (×)",
        "Of limit", "Energy (mJ/img)", "Power (W)",
    ]  # fmt: skip


@pytest.mark.parametrize("of_layer", [True, False])
@pytest.mark.parametrize("view", [View.terminal, View.paper, View.page])
def test_readers_meet_a_new_quantity_in_its_view_alone(
    monkeypatch: pytest.MonkeyPatch, view: View, of_layer: bool
):
    new = replace(FLOPS, name="new", title="New", views=view, of_layer=of_layer)
    monkeypatch.setattr(columns, "QUANTITIES", (*QUANTITIES, new))
    (table,) = paper_tables([run_of("mine", block({"msa": SLOW}))])
    on_paper = [field.column for index in table.indices for field in table.fields(index)]
    at_terminal = [column.heading for column in result_table(table.rows).columns]
    assert (new in on_paper, new.heading in at_terminal) == (view is View.paper, view is View.terminal)


def test_a_definition_is_the_meaning_without_a_full_stop():
    expected = "memory = the most that one call allocates beyond weights and input, by torch's allocator"
    assert MEMORY.definition == expected


def test_the_baseline_is_called_so_instead_of_judged():
    records = [*block({"msa": SLOW, "hilo": FAST}), record("sra", outcome="crashed")]
    assert [verdict(row) for row in rows(records)] == ["baseline", "faster", "—"]


def counted(*params: int | None) -> list[Row]:
    return rows([record(str(place), params=count) for place, count in enumerate(params)])


def test_best_and_second_are_the_lowest_of_counts():
    places = standings(PARAMS, counted(3_000_000, 1_000_000, 4_000_000, 2_000_000))
    assert places == [None, Standing.best, None, Standing.second]


def test_best_and_second_are_the_highest_of_throughputs():
    times = {"msa": SLOW, "hilo": FAST, "sra": [1.5 * time for time in FAST]}
    assert standings(THROUGHPUT, rows(block(times))) == [None, Standing.best, Standing.second]
    assert standings(TIME, rows(block(times))) == [None, Standing.best, Standing.second]


def test_values_that_read_the_same_share_a_place():
    places = standings(PARAMS, counted(1_001_000, 999_000, 2_000_000, 2_001_000, 3_000_000))
    assert places == [Standing.best, Standing.best, Standing.second, Standing.second, None]


def test_missing_values_have_no_place():
    found = counted(None, 2_000_000, 1_000_000, 3_000_000)
    assert standings(PARAMS, found) == [None, Standing.second, Standing.best, None]
    assert standings(PARAMS, [*found[1:], None]) == [Standing.second, Standing.best, None, None]


def test_the_worse_of_two_is_no_second():
    assert standings(PARAMS, counted(2_000_000, 1_000_000)) == [None, Standing.best]


def test_nothing_stands_out_where_all_are_the_same_or_no_direction_is_better():
    assert standings(PARAMS, counted(1_000_000, 1_000_000)) == [None, None]
    limits = [
        record(f"ceiling/{name}", [0.2] * 18, mechanism=name, role=Role.ceiling)
        for name in ("matmul", "copy")
    ]
    assert standings(LIMIT, rows([*block({"msa": SLOW, "hilo": FAST}), *limits])) == [None, None]


def test_an_impossible_speed_has_no_place():
    times = {"msa": SLOW, "hilo": [0.1] * 18, "sra": FAST, "van": [0.3] * 18}
    limits = [record(name, [0.15] * 18, mechanism=name, role=Role.ceiling) for name in ("matmul", "copy")]
    places = standings(THROUGHPUT, rows([*block(times), *limits]))
    assert places == [None, None, Standing.best, Standing.second]


def test_a_lower_bound_has_no_place():
    least, *others = (record(str(power), macs=10**power) for power in (6, 7, 8, 9))
    places = standings(FLOPS, rows([changed(least, uncounted=("aten::cdist",)), *others]))
    assert places == [None, Standing.best, Standing.second, None]


def test_the_smallest_of_the_rows_decides_on_the_unit():
    small, large = rows([record("msa", params=40_000), record("hilo", params=4_000_000)])
    assert [PARAMS.fitting(those).unit for those in ([small, large], [large, small], [large])] == [
        "K",
        "K",
        "M",
    ]
