"""What a reader's tables have: columns by name, spreads from samples, units that fit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attnbench.analysis.rows import Row, rows
from attnbench.errors import AttnbenchError
from attnbench.report.column import Quantity
from attnbench.report.columns import FLOPS, LIMIT, MEMORY, PARAMS, SPEED, THROUGHPUT, TIME
from attnbench.report.spread import Spread
from attnbench.report.table_style import TableStyle, asked_names, read_columns
from attnbench.statistics import Estimate
from tests.fakes import MEMORY as CALL
from tests.fakes import block, record

MSA = [0.4, 0.42, 0.38, 0.4, 0.44, 0.36]
HILO = [0.2, 0.2, 0.2, 0.25, 0.2, 0.16]


@pytest.fixture
def hilo() -> Row:
    _, row = rows(block({"msa": MSA, "hilo": HILO}))
    return row


def test_every_name_that_csv_has_is_a_column_but_for_the_ends_of_intervals():
    assert read_columns(asked_names())
    assert {"label", "time_s", "imgs_per_s_published", "verdict", "started_at"} <= set(asked_names())
    assert "time_s_low" not in asked_names()


def test_columns_keep_their_order_and_may_be_called_by_their_titles():
    asked = read_columns(["Throughput", "params", "FLOPs", "throughput_published"])
    assert [(each.source, each.is_paper) for each in asked] == [
        (THROUGHPUT, False), (PARAMS, False), (FLOPS, False), (THROUGHPUT, True),
    ]  # fmt: skip


def test_a_name_that_no_column_has_is_answered_with_the_nearest():
    with pytest.raises(
        AttnbenchError, match=r"No column of tables is called 'tme_s'\. Did you mean 'time_s'\?"
    ):
        read_columns(["tme_s"])


def test_an_asked_column_has_the_cells_of_programs(hilo: Row):
    ours, papers = read_columns(["imgs_per_s", "imgs_per_s_published"])
    assert list(ours.cells(hilo)) == ["imgs_per_s", "imgs_per_s_low", "imgs_per_s_high"]
    assert papers.cells(hilo) == {"imgs_per_s_published": 1029}


@pytest.mark.parametrize(
    ("quantity", "samples"),
    [
        (TIME, np.array(HILO)),
        (THROUGHPUT, 64 / np.array(HILO)),
        (SPEED, np.array(MSA) / np.array(HILO)),
    ],
)
def test_a_deviation_is_that_of_all_samples_around_their_mean(quantity, samples, hilo: Row):
    found = quantity.spread_by(Spread.std).estimate(hilo)
    mean, deviation = samples.mean(), samples.std(ddof=1)
    assert [found.value, found.low, found.high] == pytest.approx([mean, mean - deviation, mean + deviation])


def test_quartiles_are_those_of_all_samples_around_the_median(hilo: Row):
    found = TIME.spread_by(Spread.iqr).estimate(hilo)
    assert found == Estimate(0.2, *np.percentile(HILO, [25, 75]))


def test_what_is_no_median_has_no_spread():
    assert PARAMS.spread_by(Spread.std) is PARAMS
    assert LIMIT.spread_by(Spread.ci) is LIMIT


def test_a_baseline_is_exactly_as_fast_as_itself(hilo: Row):
    (msa, _) = rows(block({"msa": MSA, "hilo": HILO}))
    assert SPEED.spread_by(Spread.std).text(msa) == "1.00"


def test_few_rounds_have_no_spread():
    (row,) = rows([record("msa", [0.4, 0.5, 0.6])])
    found = TIME.spread_by(Spread.std).estimate(row)
    assert found
    assert (found.low, found.high) == (None, None)


def test_one_image_a_call_is_told_by_its_time_unless_throughput_is_asked_for(hilo: Row):
    (alone,) = rows([record("msa", MSA, batch=1)])
    assert TableStyle().level([alone]) is TIME
    assert TableStyle().level([alone, hilo]) is THROUGHPUT
    assert TableStyle(latency=False).level([alone]) is THROUGHPUT
    assert TableStyle(latency=True).level([hilo]) is TIME


def test_small_layers_are_counted_in_thousands():
    table = rows([record("a", params=40_200), record("b", params=2_360_000)])
    assert [PARAMS.fitting(table).text(row) for row in table] == ["40.2", "2,360.0"]
    assert PARAMS.fitting(table).heading == "Params (K)"
    assert PARAMS.fitting(table[1:]) is PARAMS


@pytest.mark.parametrize(
    ("column", "number", "heading", "text"),
    [
        (PARAMS, {"params": 99_999}, "Params (K)", "100.0"),
        (PARAMS, {"params": 100_000}, "Params (M)", "0.10"),
        (FLOPS, {"macs": 614_400}, "FLOPs (K)", "614.4"),
        (FLOPS, {"macs": 1_000_000}, "FLOPs (M)", "1.0"),
        (MEMORY, {"memory": replace(CALL, peak_bytes=40 * 2**10)}, "Memory (KiB)", "40.0"),
        (MEMORY, {"memory": CALL}, "Memory (MiB)", "1,000.0"),
    ],
)
def test_each_value_has_two_digits_at_least_in_the_unit_of_its_table(
    column: Quantity, number: dict[str, Any], heading: str, text: str
):
    table = rows([record("a", **number)])
    assert column.fitting(table).heading == heading
    assert column.fitting(table).text(table[0]) == text
