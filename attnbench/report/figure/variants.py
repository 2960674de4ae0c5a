"""The matrix's figure: how fast each variant makes mechanisms, and where their order changes."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.analysis.rows import measured
from attnbench.analysis.variant_matrix import VariantMatrix
from attnbench.cases.variant import Variant
from attnbench.report.colours import MarkStyle, MarkStyles, mark_styles_of
from attnbench.report.figure.axis import set_log_heights
from attnbench.report.figure.end_labels import name_at_the_side, names_inches
from attnbench.report.figure.file_names import machines, setting_words
from attnbench.report.figure.page import add_note, add_panels, new_page, save
from attnbench.report.figure.print_size import PLAIN, PrintSize, Width
from attnbench.report.figure.style import (
    LETTER_INCHES,
    LINE_INCHES,
    POINT_SIZE,
    SMALL,
    brief,
    errors,
    line,
    styled,
)
from attnbench.statistics import Estimate
from attnbench.words import plural

PLOT_INCHES = 1.7
SLOPE = 40.0  # degrees, of variants' names that do not fit beside each other
MOST_SLOPING = 28  # letters; longer names would reach too far to the left
BESIDE_INCHES = 0.75  # the axis of throughputs, and the gap before the names at the side


def save_matrices(matrices: Sequence[VariantMatrix], folder: Path, wanted: PrintSize = PLAIN) -> list[Path]:
    """Draw `kernels.png` and `kernels.pdf` if a matrix has a time, and return the files."""
    timed = [matrix for matrix in matrices if measured(matrix.rows)]
    return save(matrices_page(timed, wanted), folder / "kernels", wanted) if timed else []


def matrices_page(matrices: Sequence[VariantMatrix], wanted: PrintSize = PLAIN) -> Figure:
    """A panel for each matrix; all must have a time."""
    labels = (label for matrix in matrices for label in matrix.titles)
    styles, width = mark_styles_of(labels, wanted.highlight), wanted.inches(Width.page)
    names = [[_name(matrix, *best) for best in _bests(matrix).items()] for matrix in matrices]
    slope = max(_slope(in_order(each), mine, width) for each, mine in zip(matrices, names, strict=True))
    ticks_inches = max(_ticks_inches(in_order(matrix), slope) for matrix in matrices)
    height = max(PLOT_INCHES, *map(names_inches, names)) + ticks_inches
    with styled():
        page = new_page(width)
        for axes, matrix in zip(add_panels(page, len(matrices), width, height), matrices, strict=True):
            axes.set_title(_title(matrix, width) if len(matrices) > 1 else "", fontsize=SMALL, loc="left")
            draw_matrix(axes, matrix, styles, slope)
        add_note(page, _note(matrices), wanted)
    return page


def draw_matrix(axes: Axes, matrix: VariantMatrix, styles: MarkStyles, slope: float = 0.0) -> None:
    """A mark for each mechanism and variant, and lines from each variant to what one choice more makes of it.

    The mark of its best variant is filled, and how much that gains stands beside its name. A gap is where it
    has no time.
    """
    variants, ends, colours = in_order(matrix), [], {}
    for label, best in _bests(matrix).items():
        throughputs, style, name = (
            _throughputs(matrix, label, variants),
            styles[label],
            _name(matrix, label, best),
        )
        for start, end in _runs(variants):
            _draw_line(axes, range(start, end), throughputs[start:end], style)
        top = variants.index(best)
        axes.plot(
            top, throughputs[top].value, style.marker, color=style.colour, markersize=POINT_SIZE, zorder=4
        )
        last = max(index for index, throughput in enumerate(throughputs) if not math.isnan(throughput.value))
        ends.append((name, (float(last), throughputs[last].value)))
        colours[name] = style.colour
    _set_axes(axes, variants, slope)
    name_at_the_side(axes, ends, colours)


def in_order(matrix: VariantMatrix) -> list[Variant]:
    """The variants that have a time: by number format, then kernel, eager before compiled and captured."""
    return sorted((variant for variant in matrix.variants if matrix.timed(variant)), key=lambda it: it.rank)


def _bests(matrix: VariantMatrix) -> dict[str, Variant]:
    """The best variant of each mechanism that has a time."""
    return {label: best for label in matrix.titles if (best := matrix.best(label))}


def _throughputs(matrix: VariantMatrix, label: str, variants: Sequence[Variant]) -> list[Estimate]:
    by_variant = {
        row.record.case.variant: row for row in measured(matrix.rows) if row.record.case.label == label
    }
    return [
        by_variant[variant].timing.throughput if variant in by_variant else Estimate(math.nan)
        for variant in variants
    ]


def _runs(variants: Sequence[Variant]) -> list[tuple[int, int]]:
    """Where neighbours begin and end of which each is the one before with one choice more."""
    starts = [0, *(at for at in range(1, len(variants)) if not variants[at].follows(variants[at - 1]))]
    return list(zip(starts, [*starts[1:], len(variants)], strict=True))


def _draw_line(axes: Axes, xs: Sequence[int], throughputs: Sequence[Estimate], style: MarkStyle) -> None:
    values = [estimate.value for estimate in throughputs]
    how = {**line(style), "markerfacecolor": "white"}
    axes.errorbar(xs, values, yerr=errors(throughputs), **how)


def _name(matrix: VariantMatrix, label: str, best: Variant) -> str:
    gain = matrix.cells[label, best].gain
    return matrix.titles[label] + (f" ({gain.value:.2f}×)" if gain else "")


def _set_axes(axes: Axes, variants: Sequence[Variant], slope: float) -> None:
    set_log_heights(axes, *axes.dataLim.intervaly)
    axes.set_ylabel("Throughput (images/s)")
    axes.set_xlim(-0.2, len(variants) - 0.8)
    names = [variant.brief for variant in variants]
    if slope:
        axes.set_xticks(
            range(len(names)), names, rotation=slope, ha="right", va="center", rotation_mode="anchor"
        )
    else:
        axes.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
    axes.grid(axis="x")


def _slope(variants: Sequence[Variant], names: Sequence[str], width_inches: float) -> float:
    """The least of the slopes at which variants' names do not touch, beside the names at the side."""
    beside = LETTER_INCHES * max(len(row) for name in names for row in brief(name).split("\n"))
    each = (width_inches - BESIDE_INCHES - beside) / len(variants)
    longest = max(len(word) for variant in variants for word in variant.brief.split())
    if each > LETTER_INCHES * (longest + 1):
        return 0.0
    sine = math.sin(math.radians(SLOPE))
    return SLOPE if each > LINE_INCHES / sine and _letters(variants) <= MOST_SLOPING else 90.0


def _ticks_inches(variants: Sequence[Variant], slope: float) -> float:
    """The height of variants' names beyond a line."""
    if slope:
        return math.sin(math.radians(slope)) * LETTER_INCHES * _letters(variants)
    return LINE_INCHES * max(variant.brief.count(" ") for variant in variants)


def _letters(variants: Sequence[Variant]) -> int:
    return max(len(variant.brief) for variant in variants)


def _title(matrix: VariantMatrix, width_inches: float) -> str:
    row = matrix.rows[0]
    threads = f", {plural(row.threads, 'thread')}" if row.threads else ""
    words = f"{matrix.device}: {setting_words(row.record, variant=False)}{threads}"
    return textwrap.fill(words, int((width_inches - BESIDE_INCHES) / LETTER_INCHES))


def _note(matrices: Sequence[VariantMatrix]) -> str:
    references = dict.fromkeys(matrix.reference.brief for matrix in matrices)
    key = (
        f"Filled: the best variant of a mechanism; in brackets: its speed over {' or '.join(references)}. "
        "Lines: one choice more."
    )
    settings = [f"{setting_words(matrices[0].rows[0].record, variant=False)}."] * (len(matrices) == 1)
    return " ".join([key, *settings, machines(row.record for matrix in matrices for row in matrix.rows)])
