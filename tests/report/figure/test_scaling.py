"""What is drawn against resolution, read back as numbers."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attnbench.analysis.rows import Row, measured, rows
from attnbench.records.record import Memory, Record
from attnbench.report.colours import mark_styles_of
from attnbench.report.figure import run
from attnbench.report.figure.file_names import MISFIT, machines
from attnbench.report.figure.run import save_figures, setting_pages
from attnbench.report.figure.scaling import (
    draw_flops,
    draw_inference,
    draw_inference_memory,
    draw_training,
    draw_training_memory,
    scaling_pages,
)
from tests.fakes import record
from tests.report.figure.pages import figures

SPREAD = [0.9, 1.0, 1.1, 1.0, 0.95, 1.05]
MIB = 2**20
INKS = mark_styles_of(["msa", "hilo", "sra", "xca", "dat", "van", "focal"])


def case(label: str, side: int, time_s: float = 0.0, peak_mib: int = 0, **changes: Any) -> Record:
    """A case on a square map; without a time it ran out of memory."""
    memory = Memory((peak_mib - 2) * MIB, 2 * MIB, "cpu", True, None, None) if peak_mib else None
    outcome = "measured" if time_s else "out_of_memory"
    times = [time_s * spread for spread in SPREAD] if time_s else []
    square = {"height": side, "width": side, "block": f"{side} {changes}"}
    return record(label, times, **{**square, "memory": memory, "outcome": outcome, **changes})


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


@pytest.fixture
def table() -> list[Row]:
    return rows(
        [
            case("hilo", 7, 0.1, 10, macs=100_000_000),
            case("msa", 7, 0.2, 20, macs=200_000_000),
            case("hilo", 14, 0.4, 40, macs=400_000_000),
            case("msa", 14, 0.8, 80, macs=None, macs_closed_form=800_000_000),
            case("hilo", 28, 1.6, 160, macs=1_600_000_000),
            case("msa", 28, predicted_bytes=1000 * MIB, macs=None, macs_closed_form=3_200_000_000),
        ]
    )


def curves(axes: Axes) -> dict[str, dict[float, float]]:
    """The numbers of each mechanism by size."""
    return {
        str(drawn.get_label()): points(drawn.lines[0])
        for drawn in axes.containers
        if isinstance(drawn, ErrorbarContainer)
    }


def points(line: Line2D) -> dict[float, float]:
    xs, ys = (np.asarray(each, dtype=float).tolist() for each in line.get_data())
    return dict(zip(xs, ys, strict=True))


def crosses(axes: Axes) -> list[dict[float, float]]:
    """The black crosses, for each mechanism."""
    return [points(line) for line in axes.lines if line.get_marker() == "x" and line.get_color() == "black"]


def dotted(axes: Axes) -> Mapping[str, dict[float, float]]:
    """The dotted lines, by their colour."""
    return {str(line.get_color()): points(line) for line in axes.lines if line.get_linestyle() == ":"}


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_flops_are_the_count_or_else_the_closed_form(axes: Axes, table: list[Row]):
    draw_flops(axes, table, INKS)
    assert curves(axes) == {"HILO": {7: 100, 14: 400, 28: 1600}, "MSA": {7: 200, 14: 800, 28: 3200}}
    assert crosses(axes) == []
    assert axes.get_title(loc="left") == "FLOPs (M multiply-adds, forward)"


def test_throughput_has_its_intervals(axes: Axes, table: list[Row]):
    draw_inference(axes, table, INKS)
    assert curves(axes)["HILO"] == pytest.approx({7: 640, 14: 160, 28: 40})
    assert curves(axes)["MSA"] == pytest.approx({7: 320, 14: 80})
    hilo = next(found for found in axes.containers if found.get_label() == "HILO")
    assert isinstance(hilo, ErrorbarContainer)
    drawn = [segment[:, 1].tolist() for segment in hilo.lines[2][0].get_segments()]
    ours = [row.timing.throughput for row in measured(table) if row.record.case.label == "hilo"]
    np.testing.assert_allclose(drawn, np.array([(each.low, each.high) for each in ours], dtype=float))


def test_axes_are_logarithmic_with_ticks_at_the_sizes(axes: Axes, table: list[Row]):
    draw_inference(axes, table, INKS)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_xticks().tolist() == [7, 14, 28]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["7", "14", "28"]
    assert axes.get_xticks(minor=True).size == 0


def test_a_map_that_is_not_square_stands_at_the_square_with_as_many_tokens(axes: Axes):
    draw_inference(axes, rows([case("hilo", 7, 0.1), case("hilo", 0, 0.4, height=7, width=28)]), INKS)
    assert list(curves(axes)["HILO"]) == [7, 14]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["7", "7×28"]


def test_what_did_not_fit_is_a_cross_at_the_predicted_need(axes: Axes, table: list[Row]):
    draw_inference_memory(axes, table, INKS)
    assert curves(axes)["MSA"] == {7: 20, 14: 80}
    assert crosses(axes) == [{28: 1000}]
    assert dotted(axes) == {INKS["msa"].colour: {14: 80, 28: 1000}}
    assert axes.get_ylim()[1] > 1000


def test_what_did_not_fit_has_a_cross_at_the_bottom_of_throughputs(axes: Axes, table: list[Row]):
    draw_inference(axes, table, INKS)
    bottom = axes.get_ylim()[0]
    assert bottom < 40
    assert crosses(axes) == [{28: bottom}]
    assert dotted(axes)[INKS["msa"].colour] == pytest.approx({14: 80, 28: bottom})


def test_a_cross_is_joined_to_the_last_number_before_it_and_to_none_beyond(axes: Axes):
    draw_inference(axes, rows([case("msa", 7, 0.2), case("msa", 14), case("msa", 28, 1.6)]), INKS)
    assert list(dotted(axes)[INKS["msa"].colour]) == [7, 14]


def test_a_need_that_nobody_predicted_is_a_cross_at_the_top(axes: Axes):
    draw_inference_memory(axes, rows([case("hilo", 7, 0.1, 10), case("hilo", 14)]), INKS)
    assert crosses(axes) == [{14: axes.get_ylim()[1]}]


def test_crosses_at_one_place_stand_beside_each_other(axes: Axes):
    names = ["msa", "hilo", "sra", "xca", "dat", "van", "focal"]
    fitting = [case(name, 7, 0.1 * number) for number, name in enumerate(names, start=1)]
    draw_inference(axes, rows([*fitting, *(case(name, 14) for name in names)]), INKS)
    places = [place for cross in crosses(axes) for place in cross]
    assert len(places) == 7
    steps = np.diff(np.log(places))
    assert steps.min() > 0.02 * math.log(2)
    assert steps.sum() < 0.3 * math.log(2)
    assert np.prod(places) == pytest.approx(14**7)
    low, high = axes.get_xlim()
    assert low < min(places) <= max(places) < high


def test_crosses_of_different_needs_stand_at_the_size_itself(axes: Axes):
    needs = [case(name, 14, predicted_bytes=need * MIB) for name, need in {"msa": 200, "hilo": 400}.items()]
    draw_inference_memory(axes, rows([case("msa", 7, 0.1, 10), *needs]), INKS)
    assert sorted(map(str, crosses(axes))) == ["{14.0: 200.0}", "{14.0: 400.0}"]


def test_crosses_of_needs_that_are_near_do_not_hide_each_other(axes: Axes):
    needs = [case(name, 14, predicted_bytes=need * MIB) for name, need in {"msa": 200, "hilo": 210}.items()]
    draw_inference_memory(axes, rows([case("msa", 7, 0.1, 10), *needs]), INKS)
    left, right = sorted(place for cross in crosses(axes) for place in cross)
    assert left < 14 < right


def test_what_was_measured_although_it_ran_out_of_memory_later_has_its_number(axes: Axes):
    draw_inference_memory(axes, rows([case("hilo", 7, 0.1, 10), case("hilo", 14, peak_mib=40)]), INKS)
    assert curves(axes) == {"HILO": {7: 10, 14: 40}}
    assert crosses(axes) == []


def test_what_failed_for_another_reason_is_no_cross(axes: Axes):
    draw_inference(axes, rows([case("hilo", 7, 0.1), case("hilo", 14, outcome="unsupported")]), INKS)
    assert crosses(axes) == []


def test_points_are_joined_in_the_order_of_their_sizes(axes: Axes):
    draw_inference(axes, rows([case("hilo", side, 0.1) for side in (14, 28, 7)]), INKS)
    assert list(curves(axes)["HILO"]) == [7, 14, 28]


def test_modes_are_drawn_apart(axes: Axes):
    both = rows([case("hilo", 7, 0.1, 10), case("hilo", 7, 0.4, 50, mode="training"), case("hilo", 14)])
    draw_training(axes, both, INKS)
    assert curves(axes) == {"HILO": pytest.approx({7: 160})}
    assert axes.get_title(loc="left") == "Training throughput (images/s)"
    memory: Axes = Figure().subplots()
    draw_training_memory(memory, both, INKS)
    assert curves(memory) == {"HILO": {7: 50}}


def test_a_panel_without_numbers_says_so_in_grey(axes: Axes, table: list[Row]):
    draw_training_memory(axes, table, INKS)
    assert texts(axes) == ["not measured in this run"]
    assert axes.texts[0].get_color() == "grey"
    assert not axes.axison


def test_crosses_without_any_number_beside_them_are_no_panel(axes: Axes):
    draw_inference_memory(axes, rows([case("hilo", 7, 0.1), case("hilo", 14)]), INKS)
    assert texts(axes) == ["not measured in this run"]


def test_sizes_stand_at_one_place_in_all_panels_whichever_have_crosses(table: list[Row]):
    (page,) = figures(scaling_pages, table).values()
    assert len({axes.get_xlim() for axes in page.axes}) == 1


def test_a_page_says_what_its_crosses_are(table: list[Row]):
    pages_of = [figures(scaling_pages, rows)["scaling"] for rows in (table, table[:4])]
    notes = [page.get_supxlabel() for page in pages_of]
    assert [MISFIT in " ".join(note.split()) for note in notes] == [True, False]


def test_a_page_names_each_mechanism_once_and_its_machine_and_setting(table: list[Row]):
    ((name, page),) = figures(scaling_pages, table).items()
    assert name == "scaling"
    assert [text.get_text() for text in page.legends[0].get_texts()] == ["HILO", "MSA"]
    said = " ".join(page.get_supxlabel().split())
    assert said.startswith("Dim 768, 12 heads, batch 64, float32, explicit kernel. Abacus")
    assert titles(page) == ["FLOPs", "Inference throughput", "Inference memory"]


def titles(page: Figure) -> list[str]:
    return [axes.get_title(loc="left").partition(" (")[0] for axes in page.axes]


def pages(records: Sequence[Record]) -> dict[str, Figure]:
    return figures(scaling_pages, rows(records))


def test_training_alone_takes_the_place_of_inference_and_has_its_own_page():
    found = pages([case("hilo", 7, 0.1, mode="training"), case("hilo", 14, 0.4, mode="training")])
    assert list(found) == ["scaling", "scaling-training"]
    for page, panel in (("scaling", 1), ("scaling-training", 0)):
        axes = found[page].axes[panel]
        assert axes.get_title(loc="left") == "Training throughput (images/s)"
        assert curves(axes)["HILO"] == pytest.approx({7: 640, 14: 160})


def test_training_beside_inference_leaves_inference_its_panel():
    found = pages(
        [case("hilo", side, 0.1, mode=mode) for side in (7, 14) for mode in ("training", "inference")]
    )
    assert list(found) == ["scaling", "scaling-training"]
    assert titles(found["scaling"]) == [
        "FLOPs", "Inference throughput", "Inference memory", "Training memory",
    ]  # fmt: skip
    assert titles(found["scaling-training"]) == ["Training throughput"]
    assert found["scaling"].get_supxlabel().endswith("Memory holds weights and input too.")
    assert "Memory" not in found["scaling-training"].get_supxlabel()


def test_devices_and_batches_have_pages_of_their_own_and_one_size_has_none():
    cpu = [case("hilo", side, 0.1, batch=batch) for side in (7, 14) for batch in (4, 64)]
    gpu = [case("hilo", side, 0.1, device="cuda", batch=4) for side in (7, 14)]
    assert list(pages([*cpu, *gpu])) == ["scaling-cpu-batch4", "scaling-cpu-batch64", "scaling-cuda-batch4"]
    assert list(pages([*cpu[:1], *gpu[:1]])) == []
    assert list(pages(cpu[::2])) == ["scaling"]


def test_figures_of_a_setting_are_named_by_what_differs_in_the_run():
    both = [case("hilo", 14, 0.1), case("hilo", 14, 0.4, mode="training"), case("hilo", 7, 0.4, batch=4)]
    gpu = case("hilo", 14, 0.1, device="cuda", block="gpu")
    found = figures(setting_pages, rows([*both, gpu]))
    names = list(found)
    ends = ("-14x14-batch64", "-14x14-batch64-training", "-7x7-batch4")
    assert names == [f"{name}{end}" for end in ends for name in ("throughput", "flops-time")]
    assert [axes.get_title(loc="left") for axes in found[names[0]].axes] == ["cpu", "cuda"]
    assert list(figures(setting_pages, rows(both[:1]))) == ["throughput", "flops-time"]


def test_a_run_saves_its_figures_of_settings_over_sizes_and_over_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run, "save", lambda page, stem, paper_table: [stem])
    values = [
        case(f"hilo {alpha}", 7, 0.1, mechanism="hilo", settings={"alpha": alpha}) for alpha in range(3)
    ]
    drawn = save_figures(rows([*values, case("msa", 14, 0.1)]), tmp_path)
    assert drawn == [
        tmp_path / name
        for name in ("throughput-7x7", "flops-time-7x7", "front-7x7", "throughput-14x14", "flops-time-14x14",
                     "scaling", "setting-alpha-7x7")
    ]  # fmt: skip


def test_a_note_has_a_sentence_for_each_machine():
    both = [record(), record("hilo"), record(device="cuda")]
    first, second = machines(both).split(". ")
    assert (first.partition(" (")[0], second[:4]) == ("Abacus", "Loom")


def test_the_note_of_a_setting_says_its_mode():
    for mode in ("inference", "training"):
        page = figures(setting_pages, rows([case("hilo", 14, 0.1, mode=mode)]))["throughput"]
        assert f"explicit kernel, {mode}. Abacus" in " ".join(page.get_supxlabel().split())
