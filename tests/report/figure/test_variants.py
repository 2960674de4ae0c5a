"""What the matrix's figure draws, read back as numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from attnbench.analysis.rows import rows
from attnbench.analysis.variant_matrix import VariantMatrix, matrices
from attnbench.cases.variant import PLAIN, Variant
from attnbench.report.colours import mark_styles_of
from attnbench.report.figure.style import LINE_INCHES, POINT_SIZE
from attnbench.report.figure.variants import draw_matrix, in_order, matrices_page, save_matrices
from tests.fakes import record

FUSED = Variant(kernel="fused")
HALF = Variant(dtype="bfloat16")
COMPILED = Variant(compile="default")
FUSED_COMPILED = Variant(kernel="fused", compile="default")
TIMES_S: dict[Variant, dict[str, float]] = {
    HALF: {"msa": 0.05, "hilo": 0.1},
    PLAIN: {"msa": 0.4, "hilo": 0.2},
    FUSED: {"msa": 0.1, "hilo": 0.4, "sra": 0.1},
    COMPILED: {"msa": 0.8},
}


def matrix_of(
    times_s: dict[Variant, dict[str, float]], labels: Sequence[str] = ("msa", "hilo", "sra")
) -> VariantMatrix:
    records = []
    for variant, times in times_s.items():
        how: dict[str, Any] = {"dtype": variant.dtype, "kernel": variant.kernel, "compile": variant.compile}
        for label in labels:
            outcome = "measured" if label in times else "unsupported"
            records.append(
                record(label, [times[label]] * 6 if label in times else (), outcome=outcome, **how)
            )
    (matrix,) = matrices(rows(records))
    return matrix


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


def draw(axes: Axes, matrix: VariantMatrix) -> None:
    draw_matrix(axes, matrix, mark_styles_of(matrix.titles))


def lines(axes: Axes) -> dict[str, list[list[float]]]:
    """The throughputs along the lines of each mechanism, by its colour; NaN where it has none."""
    drawn: dict[str, list[list[float]]] = {}
    for each in axes.containers:
        if isinstance(each, ErrorbarContainer):
            heights = np.asarray(each.lines[0].get_ydata(), dtype=float).tolist()
            drawn.setdefault(str(each.lines[0].get_color()), []).append(heights)
    return drawn


def test_variants_stand_by_number_format_and_kernel_and_eager_before_compiled():
    backwards = [HALF, FUSED_COMPILED, COMPILED, FUSED, PLAIN]
    assert in_order(matrix_of({variant: {"msa": 0.1} for variant in backwards})) == [
        PLAIN, COMPILED, FUSED, FUSED_COMPILED, HALF,
    ]  # fmt: skip


def test_a_variant_without_any_time_is_not_drawn():
    assert in_order(matrix_of({**TIMES_S, FUSED: {}})) == [PLAIN, COMPILED, HALF]


def test_lines_lead_to_what_one_choice_more_makes_and_nowhere_else(axes: Axes):
    variants = [PLAIN, COMPILED, FUSED, FUSED_COMPILED, HALF]
    draw(axes, matrix_of({variant: {"msa": 0.1} for variant in variants}))
    xs = [each.lines[0].get_xdata() for each in axes.containers if isinstance(each, ErrorbarContainer)]
    assert [list(map(int, np.asarray(each))) for each in xs] == [[0, 1], [2, 3], [4]]


def test_each_mechanism_is_a_line_of_throughputs_with_gaps_in_its_own_colour(axes: Axes):
    draw(axes, matrix_of(TIMES_S))
    nan, styles = float("nan"), mark_styles_of(["msa", "hilo", "sra"])
    throughputs: dict[str, list[list[float]]] = {
        "msa": [[160, 80], [640], [1280]],
        "hilo": [[320, nan], [160], [640]],
        "sra": [[nan, nan], [640], [nan]],
    }
    assert lines(axes) == {
        styles[label].colour: [pytest.approx(line, nan_ok=True) for line in expected]
        for label, expected in throughputs.items()
    }
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [
        "float32\nexplicit", "float32\nexplicit\ncompiled", "float32\nfused", "bfloat16\nexplicit",
    ]  # fmt: skip
    assert axes.get_yscale() == "log"


def test_intervals_are_drawn(axes: Axes):
    times = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    (matrix,) = matrices(rows([record("msa", times), record("msa", times, kernel="fused")]))
    draw(axes, matrix)
    (drawn,) = (each for each in axes.containers if isinstance(each, ErrorbarContainer))
    (low, high) = drawn.lines[2][0].get_segments()[0][:, 1]
    timing = matrix.rows[0].timing
    assert timing is not None
    assert (low, high) == pytest.approx((timing.throughput.low, timing.throughput.high))


def test_the_best_variant_is_marked_and_its_gain_stands_beside_the_name_at_the_lines_end(axes: Axes):
    draw(axes, matrix_of(TIMES_S))
    filled = [line.get_xydata() for line in axes.lines if line.get_markersize() == POINT_SIZE]
    np.testing.assert_allclose(np.concatenate(filled), [[3, 1280], [3, 640], [2, 640]])
    named = {text.get_text(): text.xy for text in axes.texts}  # type: ignore[attr-defined]
    assert named == {
        "MSA (8.00×)": (3, pytest.approx(1280)),
        "HILO (2.00×)": (3, pytest.approx(640)),
        "SRA": (2, pytest.approx(640)),
    }


def test_names_of_many_mechanisms_stay_apart_and_on_the_axis(axes: Axes):
    labels = [f"layer-{number}" for number in range(14)]
    times = {label: 0.1 + number / 1e6 for number, label in enumerate(labels)} | {labels[0]: 10.0}
    draw(axes, matrix_of({PLAIN: times, FUSED: times}, labels))
    heights = sorted(text.get_position()[1] for text in axes.texts)
    assert len(heights) == 14
    assert np.diff(heights).min() * axes.get_window_extent().height / axes.figure.dpi >= LINE_INCHES - 1e-9
    assert heights[0] >= 0
    assert heights[-1] <= 1


def test_a_page_has_a_panel_for_each_matrix_and_says_what_marks_and_brackets_are():
    page = matrices_page([matrix_of(TIMES_S), matrix_of(TIMES_S)])
    assert [axes.get_title(loc="left") for axes in page.axes] == [
        "cpu: 14×14 tokens, dim 768, 12 heads, batch 64, inference"
    ] * 2
    said = " ".join(page.get_supxlabel().split())
    assert said.startswith(
        "Filled: the best variant of a mechanism; in brackets: its speed over float32 explicit."
    )
    assert "Abacus" in said


def test_a_matrix_alone_says_its_setting_in_the_note():
    page = matrices_page([matrix_of(TIMES_S)])
    assert page.axes[0].get_title(loc="left") == ""
    assert "14×14 tokens, dim 768, 12 heads, batch 64, inference." in " ".join(page.get_supxlabel().split())


def test_matrices_without_a_time_are_not_drawn(tmp_path: Path):
    some, none = matrix_of(TIMES_S), matrix_of({PLAIN: {}, FUSED: {}})
    assert save_matrices([none], tmp_path) == []
    assert save_matrices([some, none], tmp_path) == [tmp_path / "kernels.png", tmp_path / "kernels.pdf"]


def test_names_of_variants_turn_where_they_do_not_fit_beside_each_other(axes: Axes):
    draw_matrix(axes, matrix_of(TIMES_S), mark_styles_of(["msa", "hilo", "sra"]), slope=40.0)
    assert [tick.get_text() for tick in axes.get_xticklabels()][1] == "float32 explicit compiled"
    assert {tick.get_rotation() for tick in axes.get_xticklabels()} == {40.0}
