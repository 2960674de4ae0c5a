"""What is in a model's slots: its share of the work, and what its own times make one expect of the model."""

from dataclasses import replace
from typing import Any

import pytest

from attnbench.analysis.mixing import expected, share_of_work
from attnbench.analysis.rows import rows
from attnbench.cases.case import Role
from attnbench.cases.models import Mixing
from attnbench.mechanism import Geometry
from attnbench.records.record import Record
from attnbench.report.notes import notes
from tests.fakes import block, record

IMAGE, LARGE, SMALL = Geometry.image(64, 64), Geometry(24, 3, 8, 8), Geometry(48, 6, 4, 4)
SLOTS = {
    "a/msa": (Mixing("msa", LARGE, 2, 100), Mixing("msa", SMALL, 1, 50)),
    "a/xca": (Mixing("xca", LARGE, 2, 60), Mixing("msa", SMALL, 1, 50)),
}


def model(found: Record, mixing: tuple[Mixing, ...]) -> Record:
    assert found.cost is not None
    return replace(found, cost=replace(found.cost, macs=1000, mixing=mixing))


def models(times: dict[str, float]) -> list[Record]:
    """A block of models with the layers in their slots."""
    found = block({label: [time] * 6 for label, time in times.items()}, geometry=IMAGE, batch=2)
    return [model(each, SLOTS[each.case.label]) if each.case.label in SLOTS else each for each in found]


def alone(label: str, geometry: Geometry, time_s: float, **changes: Any) -> Record:
    """A layer that was timed alone."""
    setting: dict[str, Any] = {"geometry": geometry, "batch": 2, "block": f"{geometry}"} | changes
    return record(label, [time_s] * 6, **setting)


TIMES = {"a/msa": 1.0, "a/xca": 0.8}
LAYERS = [alone("msa", LARGE, 0.3), alone("xca", LARGE, 0.2), alone("msa", SMALL, 0.05)]


def test_the_share_of_work_is_that_of_all_slots():
    by_label = {row.record.case.label: share_of_work(row) for row in rows([*models(TIMES), *LAYERS])}
    assert by_label == {"a/msa": 0.25, "a/xca": 0.17, "msa": None, "xca": None}


def test_a_layer_without_a_closed_form_leaves_the_share_open():
    open_one = (Mixing("xca", LARGE, 2, None),)
    (row,) = rows([model(record("a/xca", [0.1] * 6, geometry=IMAGE), open_one)])
    assert share_of_work(row) is None


def test_what_is_expected_is_the_baselines_time_with_other_layers():
    (found,) = expected(rows([*models(TIMES), *LAYERS]))
    assert (found.row.record.case.label, found.baseline.record.case.label) == ("a/xca", "a/msa")
    assert found.speed == pytest.approx(1.0 / (1.0 - 2 * 0.3 + 2 * 0.2))


@pytest.mark.parametrize(
    "layers",
    [
        LAYERS[:2],
        [*LAYERS[:2], alone("msa", SMALL, 0.05, batch=3)],
        [*LAYERS[:2], alone("msa", SMALL, 0.05, dtype="bfloat16")],
    ],
)
def test_nothing_is_expected_where_a_layer_was_not_timed_in_the_same_way(layers: list[Record]):
    assert expected(rows([*models(TIMES), *layers])) == []


def test_a_reader_is_told_of_both():
    told = " ".join(notes(rows([*models(TIMES), *LAYERS])))
    assert "share of multiply-adds, which bounds what a faster one brings: A/MSA 25 %, A/XCA 17 %." in told
    assert (
        "By the times of their layers alone A/XCA would be 1.25 × A/MSA (cpu 64x64 images batch 2);" in told
    )


def test_nothing_is_expected_where_layers_alone_take_longer_than_the_model_that_holds_them():
    slow = [alone("msa", LARGE, 0.5), *LAYERS[1:]]
    assert expected(rows([*models(TIMES), *slow])) == []


def test_a_layer_whose_time_is_impossible_makes_nobody_expect_anything():
    fast = alone("xca", LARGE, 0.2, macs=10**9)
    limit = record("ceiling/matmul", [1.0] * 6, batch=2, macs=10**6, role=Role.ceiling, mechanism="matmul")
    limit = replace(limit, block=fast.block)
    assert expected(rows([*models(TIMES), LAYERS[0], fast, LAYERS[2], limit])) == []
