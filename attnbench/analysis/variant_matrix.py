"""The matrix: how fast each way to run them makes mechanisms, and which order of them survives it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

from attnbench.analysis.block import both, compared
from attnbench.analysis.claims import Judgement, decide
from attnbench.analysis.evidence import Group, evidence
from attnbench.analysis.orders import Order
from attnbench.analysis.rows import Measured, Row, believed, grouped, has_paper_shape, measured, place
from attnbench.cases.variant import PLAIN, Variant
from attnbench.paper import DEVICES, published
from attnbench.paper.builtin import sentences
from attnbench.paper.claims import Claim, Metric
from attnbench.statistics import Comparison, Estimate, Verdict, verdicts


@dataclass(frozen=True, slots=True)
class Cell:
    """One mechanism in one variant, and how many times as fast that is as the reference.

    `gain` is paired by round; it is None where either has no time, or both were not timed in turn. What
    `repeats` another variant, because the mechanism has a kernel of its own, has none over that either.
    """

    row: Row
    gain: Estimate | None
    repeats: bool = False


@dataclass(frozen=True)
class VariantMatrix:
    """All rows of one device, size, batch, mode and number of threads, by mechanism and variant.

    `reference` is the variant that gains are relative to: the plain one where it was measured, or else the
    first that was.
    """

    reference: Variant
    cells: Mapping[tuple[str, Variant], Cell]

    @cached_property
    def rows(self) -> list[Row]:
        return [cell.row for cell in self.cells.values()]

    @cached_property
    def titles(self) -> dict[str, str]:
        """The title of each mechanism by its label."""
        return {label: cell.row.record.case.title for (label, _), cell in self.cells.items()}

    @cached_property
    def variants(self) -> list[Variant]:
        return list(dict.fromkeys(variant for _, variant in self.cells))

    @property
    def device(self) -> str:
        return self.rows[0].device

    def timed(self, variant: Variant) -> list[Measured]:
        """The mechanisms that have a time in a variant, which is possible."""
        return [row for row in believed(self.rows) if row.record.case.variant == variant]

    def order(self, variant: Variant) -> Order:
        """Throughput by label, of all that have one in a variant."""
        return {row.record.case.label: row.timing.throughput.value for row in self.timed(variant)}

    @cached_property
    def published_order(self) -> Order:
        """The paper's throughput by label; nothing where the shape or the device is not of its table."""
        if self.device not in DEVICES or not has_paper_shape(self.rows[0].record):
            return {}
        return {
            label: published()[label].imgs_per_s(self.device) for label in self.titles if label in published()
        }

    def best(self, label: str) -> Variant | None:
        """The variant in which a mechanism gains most over the reference; None where it has no time.

        A gain that may be none leaves it to the reference. Where one is missing, the medians of throughput
        stand in for it. Of variants in which it does the same the first that has a time stands for all.
        """
        mine = {
            row.record.case.variant: row.timing
            for row in believed(self.rows)
            if row.record.case.label == label and not self.cells[row.record.case.row].repeats
        }
        base = mine[self.reference].throughput.value if self.reference in mine else 1.0

        def gain(variant: Variant) -> float:
            paired = self.cells[label, variant].gain
            if paired is None:
                return mine[variant].throughput.value / base
            may_be_none = paired.low is not None and paired.low <= 1 and self.reference in mine
            return min(paired.value, 1.0) if may_be_none else paired.value

        return max(mine, key=lambda variant: (gain(variant), variant == self.reference), default=None)


@dataclass(frozen=True, slots=True)
class Swap:
    """Two mechanisms of which each is faster than the other in some variant, beyond doubt.

    `ahead` and `behind` say how many times as fast the first is as the second where it is faster and where it
    is slower.
    """

    first: str
    second: str
    ahead: Mapping[Variant, Estimate]
    behind: Mapping[Variant, Estimate]

    @property
    def size(self) -> float:
        """How far apart the two are in both orders at once: the logarithm of the smaller lead."""
        sides = (self.ahead, self.behind)
        return min(max(abs(math.log(ratio.value)) for ratio in side.values()) for side in sides)


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim of the paper, and what each variant says of it."""

    claim: Claim
    findings: Mapping[Variant, Judgement]


def matrices(table: Sequence[Row]) -> list[VariantMatrix]:
    """A matrix for each block's setting, on each kind of machine, in which there are several variants."""
    return [_matrix(rows) for rows in grouped(table, _setting) if _has_several_variants(rows)]


def without_matrix(table: Sequence[Row]) -> list[Row]:
    """The rows of all devices, sizes, batches and modes in which there is one variant only."""
    return [row for rows in grouped(table, _setting) if not _has_several_variants(rows) for row in rows]


def swaps(matrix: VariantMatrix) -> list[Swap]:
    """The pairs of mechanisms that change order between variants, those first that move furthest.

    A pair is faster or slower where `statistics.verdicts` says so, all pairs whose medians change order
    corrected together.
    """
    pairs = [pair for pair in combinations(matrix.titles, 2) if _medians_change_order(matrix, *pair)]
    asked = [
        (first, second, variant, comparison)
        for first, second in pairs
        for variant in matrix.variants
        if (comparison := _comparison(matrix, first, second, variant))
    ]
    floors = [_noise_floor(matrix)] * len(asked)
    answers = verdicts([comparison for *_, comparison in asked], floors)
    ratios: dict[tuple[str, str], dict[Verdict, dict[Variant, Estimate]]] = {pair: {} for pair in pairs}
    for (first, second, variant, comparison), verdict in zip(asked, answers, strict=True):
        ratios[first, second].setdefault(verdict, {})[variant] = comparison.ratio
    changed = [
        _swap(matrix, *pair, sides[Verdict.faster], sides[Verdict.slower])
        for pair, sides in ratios.items()
        if Verdict.faster in sides and Verdict.slower in sides
    ]
    return sorted(changed, key=lambda swap: swap.size, reverse=True)


def judged_claims(matrix: VariantMatrix) -> list[Judged]:
    """The paper's sentences about the speed of these mechanisms on this device, in every variant.

    There are none where the shape is not that of the paper's table. All orders are corrected together.
    """
    about = [
        claim
        for claim in sentences()
        if (claim.metric, claim.device) == (Metric.speed, matrix.device)
        and set(claim.labels) <= matrix.published_order.keys()
    ]
    groups = {variant: _groups(matrix, variant) for variant in matrix.variants}
    asked = [(claim, variant) for claim in about for variant in matrix.variants]
    judgements = decide([evidence(claim, groups[variant]) for claim, variant in asked])
    by_claim: dict[Claim, dict[Variant, Judgement]] = {}
    for (claim, variant), judgement in zip(asked, judgements, strict=True):
        by_claim.setdefault(claim, {})[variant] = judgement
    return [Judged(claim, findings) for claim, findings in by_claim.items()]


def _groups(matrix: VariantMatrix, variant: Variant) -> list[Group]:
    """The rows of a variant that were timed in turn."""
    mine = [row for row in matrix.rows if row.record.case.variant == variant]
    return [
        Group(
            {row.record.case.label: row.record for row in rows},
            _noise_floor(matrix),
            {row.record.case.label: row.timing.scatter for row in measured(rows) if row.timing.scatter},
            {row.record.case.label for row in measured(rows) if row.timing.impossible},
        )
        for rows in grouped(mine, lambda row: row.record.block)
    ]


def _setting(row: Row) -> tuple[object, ...]:
    return (place(row), row.record.case.workload, row.threads)


def _has_several_variants(rows: Sequence[Row]) -> bool:
    return len({row.record.case.variant for row in rows}) > 1


def _matrix(rows: Sequence[Row]) -> VariantMatrix:
    with_time = dict.fromkeys(row.record.case.variant for row in measured(rows))
    reference = PLAIN if PLAIN in with_time else next(iter(with_time), rows[0].record.case.variant)
    bases = {row.record.case.label: row for row in measured(rows) if row.record.case.variant == reference}
    in_order = sorted(rows, key=lambda row: row.record.case.variant != reference)
    cells = {
        row.record.case.row: _cell(row, bases.get(row.record.case.label), believed(in_order[:index]))
        for index, row in enumerate(in_order)
    }
    return VariantMatrix(reference, {row.record.case.row: cells[row.record.case.row] for row in rows})


def _cell(row: Row, base: Row | None, before: Sequence[Row]) -> Cell:
    """The cell of a row beside that of the reference, and those before it in which it may be repeated."""
    of_the_reference = base is not None and base is not row and _repeats(row, [base])
    comparison = None if of_the_reference else _paired(row, base)
    return Cell(row, comparison.ratio if comparison else None, _repeats(row, before))


def _repeats(row: Row, others: Iterable[Row]) -> bool:
    """Whether a layer did in one of the others what it does in this row, whose kernel alone is another.

    It does where one of the rows tells that its kernel is its own, and where both count the same operators
    and ran as the same back-ends: a layer may have attention of both kinds.
    """
    return any(
        (row.has_own_kernel or other.has_own_kernel) and _signature(row) == _signature(other)
        for other in others
    )


def _signature(row: Row) -> tuple[object, ...]:
    """What a row's layer did, as far as it is known, and how it was run but for the kernel."""
    record = row.record
    operators = record.cost.macs_by_operator if record.cost else {}
    others = replace(record.case.variant, kernel=PLAIN.kernel)
    return (record.case.label, others, record.backends, sorted(operators.items()))


def _paired(row: Row | None, other: Row | None) -> Comparison | None:
    """How many times as fast one row is as another that was timed in turn with it, where both can be."""
    if not row or not other or row.record.block != other.record.block or not (row.timing and other.timing):
        return None
    if row.timing.impossible or other.timing.impossible:
        return None
    return compared(row.record, other.record, both(row.timing.scatter, other.timing.scatter))


def _comparison(matrix: VariantMatrix, first: str, second: str, variant: Variant) -> Comparison | None:
    rows = {row.record.case.label: row for row in matrix.timed(variant)}
    return _paired(rows.get(first), rows.get(second))


def _medians_change_order(matrix: VariantMatrix, first: str, second: str) -> bool:
    orders = [matrix.order(variant) for variant in matrix.variants]
    return len({order[first] > order[second] for order in orders if first in order and second in order}) > 1


def _noise_floor(matrix: VariantMatrix) -> float:
    return max((row.timing.noise_floor or 0.0 for row in measured(matrix.rows)), default=0.0)


def _swap(
    matrix: VariantMatrix,
    first: str,
    second: str,
    faster: Mapping[Variant, Estimate],
    slower: Mapping[Variant, Estimate],
) -> Swap:
    """The swap, told of the one that is faster in the reference, or in the first variant that is clear."""
    clear = [variant for variant in (matrix.reference, *matrix.variants) if variant in {**faster, **slower}]
    if clear[0] in faster:
        return Swap(first, second, faster, slower)
    return Swap(second, first, _inverted(slower), _inverted(faster))


def _inverted(ratios: Mapping[Variant, Estimate]) -> dict[Variant, Estimate]:
    return {variant: _inverse(ratio) for variant, ratio in ratios.items()}


def _inverse(ratio: Estimate) -> Estimate:
    low, high = (1 / end if end is not None else None for end in (ratio.high, ratio.low))
    return Estimate(1 / ratio.value, low, high)
