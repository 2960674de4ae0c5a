"""The matrix for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from attnbench.analysis.claims import Judgement
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
from attnbench.report.columns import THROUGHPUT
from attnbench.report.digits import estimated, shown
from attnbench.report.terminal.costs import LONGEST
from attnbench.statistics import Estimate
from attnbench.words import NOTHING, plural

FEW = 6  # variants, whose orders are all compared with each other
MOST_SWAPS = 5
FRAME = 3  # columns of the terminal between two columns of a table
MECHANISM = "Mechanism"
HEADINGS = ("img/s", "limit", "gain [95 %]")
MEMORY_BOUND = " m"
NO_PLAIN = f" (nothing has a time in {PLAIN.brief})"
LIMIT = "limit = share of what this machine can do at best in that number format"


@dataclass(frozen=True, slots=True)
class _Group:
    """A variant's column: its headings, and a line for each mechanism, whose parts stand below each other."""

    heading: str
    lines: Mapping[str, str]

    @property
    def width(self) -> int:
        return max(map(len, [*self.heading.splitlines(), *self.lines.values()])) + FRAME


def report(matrix: VariantMatrix, width: int) -> Iterator[RenderableType]:
    """All that there is to say about a matrix, in tables and sentences as wide as the terminal."""
    yield escape(_title(matrix))
    yield from matrix_tables(matrix, width)
    yield from _captions(matrix)
    yield best_table(matrix)
    if len(matrix.titles) > 1:
        yield order_table(matrix)
        yield _order_caption(matrix)
        yield from map(escape, swap_sentences(matrix, swaps(matrix)))
    if claims := judged_claims(matrix):
        yield claims_in_variants(matrix, claims)


def matrix_tables(matrix: VariantMatrix, width: int) -> list[Table]:
    """A line a mechanism, a column a variant; more tables where these are wider than `width` together."""
    names = min(LONGEST, max(map(len, [MECHANISM, *matrix.titles.values()]))) + FRAME + 1
    groups = [_group(matrix, variant) for variant in matrix.variants]
    return [_table(matrix, beside) for beside in _fitting(groups, width - names)]


def best_table(matrix: VariantMatrix) -> Table:
    """In which variant each mechanism is fastest, and by how much that beats the reference."""
    table = _plain_table("The best variant of each mechanism")
    for heading in (MECHANISM, "Variant"):
        table.add_column(heading, overflow="fold")
    for heading in (HEADINGS[0], HEADINGS[-1]):
        table.add_column(heading, justify="right", no_wrap=True)
    for label, title in matrix.titles.items():
        best = matrix.best(label)
        if best:
            cell = matrix.cells[label, best]
            table.add_row(escape(title), best.brief, _throughput(cell), _gain(cell, matrix.reference))
    return table


def order_table(matrix: VariantMatrix) -> Table:
    """How far the order of throughputs in one variant is that in others, and the paper's: Kendall's τ."""
    others = matrix.variants if len(matrix.variants) <= FEW else [matrix.reference]
    table = _plain_table("Kendall's τ between orders of throughput")
    table.add_column("Variant")
    table.add_column("mechanisms", justify="right")
    for other in others:
        table.add_column(other.brief.replace(" ", "\n"), justify="right")
    if matrix.published_order:
        table.add_column("Table IV", justify="right")
    for variant in matrix.variants:
        mine = matrix.order(variant)
        theirs = [matrix.order(other) for other in others]
        theirs += [matrix.published_order] if matrix.published_order else []
        table.add_row(variant.brief, str(len(mine)), *(_tau(correlation(mine, order)) for order in theirs))
    return table


def swap_sentences(matrix: VariantMatrix, found: Sequence[Swap]) -> list[str]:
    """A sentence for each of the largest changes of order, or that there are none."""
    if not found:
        return ["No two mechanisms are seen to change places between these variants."]
    left_out = len(found) - MOST_SWAPS
    more = [f"· and {plural(left_out, 'smaller swap')}"] if left_out > 0 else []
    return [f"· {_sentence(matrix, swap)}" for swap in found[:MOST_SWAPS]] + more


def claims_in_variants(matrix: VariantMatrix, claims: Sequence[Judged]) -> Table:
    """A line a variant, a column a sentence of the paper: the ratio and what it says of the sentence."""
    table = _plain_table("The paper's sentences in each variant")
    table.add_column("Variant", no_wrap=True)
    for judged in claims:
        table.add_column(escape(_heading(judged.claim, matrix.titles)))
    for variant in matrix.variants:
        table.add_row(variant.brief, *(_finding(judged.findings[variant]) for judged in claims))
    return table


def _table(matrix: VariantMatrix, groups: Sequence[_Group]) -> Table:
    table = Table()
    table.add_column(MECHANISM, max_width=LONGEST, overflow="fold")
    for group in groups:
        table.add_column(group.heading, no_wrap=True)
    for label, title in matrix.titles.items():
        table.add_row(escape(title), *(group.lines[label] for group in groups))
    return table


def _plain_table(title: str) -> Table:
    return Table(title=title, title_justify="left")


def _fitting(groups: Sequence[_Group], width: int) -> list[list[_Group]]:
    """The groups in their order, as many beside each other as are not wider, and at least one."""
    lines: list[list[_Group]] = [[]]
    for group in groups:
        if lines[-1] and sum(other.width for other in lines[-1]) + group.width > width:
            lines.append([])
        lines[-1].append(group)
    return lines


def _group(matrix: VariantMatrix, variant: Variant) -> _Group:
    shown = 2 if variant == matrix.reference else 3  # a gain over itself is none
    cells = {label: matrix.cells.get((label, variant)) for label in matrix.titles}
    parts = {
        label: (_throughput(cell), _share(cell), _gain(cell, matrix.reference))[:shown]
        for label, cell in cells.items()
        if cell and cell.row.timing
    }
    headings = HEADINGS[:shown] if parts else ()
    widths = [max(map(len, column)) for column in zip(headings, *parts.values(), strict=True)]
    lines = {
        label: _line(parts[label], widths) if label in parts else cell.row.record.outcome if cell else ""
        for label, cell in cells.items()
    }
    return _Group(f"{variant.brief}\n{_line(headings, widths)}", lines)


def _line(parts: Sequence[str], widths: Sequence[int]) -> str:
    """Parts below those of other lines, and ending where theirs do, but for the mark after a share."""
    sides = (str.rjust, str.ljust, str.rjust)
    return "  ".join(side(part, width) for side, part, width in zip(sides, parts, widths, strict=False))


def _throughput(cell: Cell) -> str:
    found = THROUGHPUT.shown(cell.row)
    return f"{THROUGHPUT.mark(cell.row)}{found.value}" if found else NOTHING


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


def _finding(judgement: Judgement) -> str:
    return f"{estimated(judgement.ours)} {judgement.ruling}" if judgement.ours else NOTHING


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
