"""The matrix for the terminal."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.markup import escape

from attnbench.analysis.orders import correlation
from attnbench.analysis.rows import measured
from attnbench.analysis.variant_matrix import (
    Cell,
    Judged,
    Swap,
    VariantMatrix,
    judged_claims,
    swaps,
)
from attnbench.cases.variant import PLAIN, Variant
from attnbench.paper import processor
from attnbench.paper.claims import Claim
from attnbench.report.caption import how_measured, what_marks_mean
from attnbench.report.column import Quantity, named
from attnbench.report.columns import THROUGHPUT_ALONE
from attnbench.report.digits import estimated, shown
from attnbench.report.table_style import STYLE, TableStyle
from attnbench.report.terminal.costs import MECHANISM
from attnbench.report.terminal.grid import Grid, GridColumn
from attnbench.statistics import Estimate
from attnbench.words import NOTHING, plural

FEW = 6  # variants, whose orders are all compared with each other
MOST_SWAPS = 5
GAIN = "gain [95 %]"
MEMORY_BOUND = " m"
NO_PLAIN = f" (nothing has a time in {PLAIN.brief})"
LIMIT = "limit = share of what this machine can do at best in that number format"


def report(matrix: VariantMatrix, style: TableStyle = STYLE) -> Iterator[RenderableType]:
    """All that there is to say about a matrix, in tables and sentences."""
    level = style.level(matrix.rows)
    yield escape(_title(matrix))
    yield matrix_table(matrix, level)
    yield from _captions(matrix)
    yield best_table(matrix, level)
    if len(matrix.titles) > 1:
        yield order_table(matrix)
        yield _order_caption(matrix)
        yield from map(escape, swap_sentences(matrix, swaps(matrix)))
    if claims := judged_claims(matrix):
        yield claims_in_variants(matrix, claims)


def matrix_table(matrix: VariantMatrix, level: Quantity = THROUGHPUT_ALONE) -> Grid:
    """A line a mechanism, a column a variant."""
    mechanisms = GridColumn(MECHANISM, [_name(matrix, label) for label in matrix.titles], wraps=True)
    return Grid(
        [mechanisms, *(_column(matrix, variant, level) for variant in matrix.variants)], continued=True
    )


def best_table(matrix: VariantMatrix, level: Quantity = THROUGHPUT_ALONE) -> Grid:
    """In which variant each mechanism is fastest, and by how much that beats the reference."""
    bests = {label: best for label in matrix.titles if (best := matrix.best(label))}
    cells = [matrix.cells[label, best] for label, best in bests.items()]
    columns = [
        GridColumn(MECHANISM, [_name(matrix, label) for label in bests], wraps=True),
        GridColumn("Variant", [best.brief for best in bests.values()], wraps=True),
        GridColumn(level.unit, [_speed(cell, level) for cell in cells]),
        GridColumn(GAIN, [_gain(cell, matrix.reference) for cell in cells]),
    ]
    return Grid(columns, "The best variant of each mechanism", title_justify="left")


def order_table(matrix: VariantMatrix) -> Grid:
    """How far the order of throughputs in one variant is that in others, and the paper's: Kendall's τ."""
    others = matrix.variants if len(matrix.variants) <= FEW else [matrix.reference]
    orders = {other.brief.replace(" ", "\n"): matrix.order(other) for other in others}
    if matrix.published_order:
        orders["Table IV"] = matrix.published_order
    mine = [matrix.order(variant) for variant in matrix.variants]
    columns = [
        GridColumn("Variant", [variant.brief for variant in matrix.variants], wraps=True),
        GridColumn("mechanisms", [f"{len(order)}" for order in mine]),
    ]
    for heading, theirs in orders.items():
        columns.append(GridColumn(heading, [_tau(correlation(order, theirs)) for order in mine]))
    return Grid(columns, "Kendall's τ between orders of throughput", title_justify="left")


def swap_sentences(matrix: VariantMatrix, largest_first: Sequence[Swap]) -> list[str]:
    """A sentence for each of the largest changes of order, or that there are none."""
    if not largest_first:
        return ["No two mechanisms are seen to change places between these variants."]
    left_out = len(largest_first) - MOST_SWAPS
    more = [f"· and {plural(left_out, 'smaller swap')}"] if left_out > 0 else []
    return [f"· {_sentence(matrix, swap)}" for swap in largest_first[:MOST_SWAPS]] + more


def claims_in_variants(matrix: VariantMatrix, claims: Sequence[Judged]) -> Grid:
    """A line a variant, a column a sentence of the paper: the ratio and what it says of the sentence."""
    columns = [GridColumn("Variant", [variant.brief for variant in matrix.variants], wraps=True)]
    for judged in claims:
        judgements = [judged.findings[variant] for variant in matrix.variants]
        cells = [f"{estimated(each.ours)} {each.ruling}" if each.ours else NOTHING for each in judgements]
        columns.append(GridColumn(_heading(judged.claim, matrix.titles), cells, justify="left"))
    return Grid(columns, "The paper's sentences in each variant", title_justify="left", continued=True)


def _name(matrix: VariantMatrix, label: str) -> str:
    """A mechanism's title, and that its kernel is its own in all variants."""
    return named(matrix.titles[label], (row for row in matrix.rows if row.record.case.label == label))


def _column(matrix: VariantMatrix, variant: Variant, level: Quantity) -> GridColumn:
    """A variant's numbers of each mechanism below each other, and outcomes where there are none."""
    shown = 2 if variant == matrix.reference else 3  # a gain over itself is none
    cells = {label: matrix.cells.get((label, variant)) for label in matrix.titles}
    parts = {
        label: (_speed(cell, level), _share(cell), _gain(cell, matrix.reference))[:shown]
        for label, cell in cells.items()
        if cell and cell.row.timing
    }
    headings = (level.unit, "limit", GAIN)[:shown] if parts else ()
    widths = [max(map(len, column)) for column in zip(headings, *parts.values(), strict=True)]
    lines = [
        _line(parts[label], widths) if label in parts else cell.row.outcome if cell else ""
        for label, cell in cells.items()
    ]
    return GridColumn(f"{variant.brief}\n{_line(headings, widths)}", lines, justify="left")


def _line(parts: Sequence[str], widths: Sequence[int]) -> str:
    """Parts below those of other lines, and ending where theirs do, but for the mark after a share."""
    sides = (str.rjust, str.ljust, str.rjust)
    return "  ".join(side(part, width) for side, part, width in zip(sides, parts, widths, strict=False))


def _speed(cell: Cell, level: Quantity) -> str:
    found = level.shown(cell.row)
    return f"{THROUGHPUT_ALONE.mark(cell.row)}{found.value}" if found else NOTHING


def _share(cell: Cell) -> str:
    limit = cell.row.timing.limit if cell.row.timing else None
    if not limit:
        return NOTHING
    return f"{shown(limit.fraction).value}{MEMORY_BOUND * (limit.by == 'memory')}"


def _gain(cell: Cell, reference: Variant) -> str:
    if cell.row.record.case.variant == reference:
        return "1"
    return estimated(cell.gain)


def _tau(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _heading(claim: Claim, titles: Mapping[str, str]) -> str:
    """What a claim says, in two short lines: `HiLo ≥ 1.4 ×` and `SRA`."""
    others = f"{len(claim.than)} others" if len(claim.than) > 1 else titles[claim.than[0]]
    if claim.times is None:
        return f"{titles[claim.mechanism]} {claim.relation} than\n{others}"
    sign = "≥" if claim.relation.is_upward else "≤"
    return f"{titles[claim.mechanism]} {sign} {claim.number:.3g} ×\n{others}"


def _sentence(matrix: VariantMatrix, swap: Swap) -> str:
    first, second = matrix.titles[swap.first], matrix.titles[swap.second]
    ahead, behind = _example(swap.ahead, matrix.reference), _example(swap.behind, matrix.reference)
    return f"{first} is faster than {second} in {ahead}, slower in {behind}."


def _example(ratios: Mapping[Variant, Estimate], reference: Variant) -> str:
    """One variant with its ratio, the reference or else the clearest, and how many others there are."""
    clearest = max(ratios, key=lambda variant: max(ratios[variant].value, 1 / ratios[variant].value))
    chosen = reference if reference in ratios else clearest
    others = f" and {plural(len(ratios) - 1, 'other')}" if len(ratios) > 1 else ""
    return f"{chosen.brief} ({estimated(ratios[chosen])}){others}"


def _title(matrix: VariantMatrix) -> str:
    record = matrix.rows[0].record
    workload = record.case.workload
    machine = record.conditions.machine.describe(record.case.device, record.conditions.threads)
    setting = f"{workload.spelled}, batch {workload.batch}, {workload.mode}"
    return f"{machine}\n{setting}, in {len(matrix.variants)} variants"


def _captions(matrix: VariantMatrix) -> list[str]:
    base = f"{matrix.reference.brief}{NO_PLAIN * (matrix.reference != PLAIN)}"
    lines = [f"gain = how many times as fast as the same mechanism in {base}, by paired rounds"]
    timings = [row.timing for row in measured(matrix.rows)]
    limits = {timing.limit.by for timing in timings if timing.limit}
    if limits:
        lines.append(LIMIT + f";{MEMORY_BOUND} = set by memory, else by products" * ("memory" in limits))
    if timings:
        lines.append(how_measured(timings))
    return lines + what_marks_mean(matrix.rows)


def _order_caption(matrix: VariantMatrix) -> str:
    paper = f"; Table IV on the paper's {processor(matrix.device)}" if matrix.published_order else ""
    return f"over the mechanisms with a time in both; 1 = the same order, −1 = reversed{paper}"
