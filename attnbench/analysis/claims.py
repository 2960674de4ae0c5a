"""What a run says of published claims: the one module that decides, and the words for it."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from attnbench.analysis.evidence import Difference, Evidence, as_labelled, evidence, groups
from attnbench.cases.variant import PLAIN, Variant
from attnbench.paper.builtin import builtin
from attnbench.paper.claims import Claim, Metric
from attnbench.paper.models import model_claims
from attnbench.records.record import Record
from attnbench.statistics import MARGIN, Comparison, Estimate, Verdict, verdicts
from attnbench.words import plural

MILLION = 10**6
ROUNDED = "tf32"  # float32 whose products are rounded: float32 itself is told beside it


class Ruling(StrEnum):
    """What may be said of a claim."""

    holds = "holds"
    fails = "fails"
    unclear = "unclear"
    not_testable = "not testable"


Answer = tuple[Ruling, str]  # with the reason, where there is one to give


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a run says of a claim, and why.

    `ours` is the mechanism's number over the other's, of several others over that of the one which is nearest
    to refuting the claim; or a count in millions. `variant` is None for counts. `beside` is what float32 says
    of a claim that was judged in TF32.
    """

    claim: Claim
    ruling: Ruling
    ours: Estimate | None
    reason: str
    differences: tuple[Difference, ...]
    variant: Variant | None
    beside: "Judgement | None" = None


def judge(claims: Iterable[Claim], records: Sequence[Record]) -> list[Judgement]:
    """What the records of a run say of each claim, orders of speed corrected together.

    A claim may name mechanisms as `labels.find` reads them; what is judged has the labels of the run.
    """
    by_metric = {metric: groups(records, metric) for metric in Metric}
    judgements = decide([evidence(claim, by_metric[claim.metric]) for claim in as_labelled(claims, records)])
    rounded = [each for each in judgements if each.variant and each.variant.dtype == ROUNDED]
    plain = decide([evidence(_in_plain(each.claim), by_metric[each.claim.metric]) for each in rounded])
    found = {each.claim.id: each for each in plain if each.variant and each.variant.dtype == PLAIN.dtype}
    return [
        replace(each, beside=found.get(each.claim.id)) if each in rounded else each for each in judgements
    ]


def _in_plain(claim: Claim) -> Claim:
    """The same claim about float32."""
    variant = replace(claim.conditions.variant, dtype=PLAIN.dtype)
    return replace(claim, conditions=replace(claim.conditions, variant=variant))


def papers_claims(records: Iterable[Record]) -> tuple[Claim, ...]:
    """What the paper says of layers where these are of layers, and of models where they are of models."""
    kinds = {record.case.workload.geometry.images for record in records}
    return (*(builtin() if kinds != {True} else ()), *(model_claims() if True in kinds else ()))


def decide(pieces: Sequence[Evidence]) -> list[Judgement]:
    """What each piece of evidence says of its claim, orders of speed corrected together."""
    asked = [
        (comparison, piece.noise_floor)
        for piece in pieces
        if _is_order_of_speed(piece.claim)
        for comparison in piece.comparisons.values()
    ]
    judged = iter(verdicts([comparison for comparison, _ in asked], [floor for _, floor in asked]))
    return [
        _of_ratios(piece, _answers(piece, judged)) if piece.claim.millions is None else _of_count(piece)
        for piece in pieces
    ]


def summary(judgements: Sequence[Judgement]) -> str:
    """How many claims hold, fail, are unclear and cannot be tested."""
    numbers = Counter(judgement.ruling for judgement in judgements)
    words = {Ruling.holds: "hold", Ruling.fails: "fail", Ruling.unclear: "unclear"}
    parts = [f"{numbers[ruling]} {words.get(ruling, ruling)}" for ruling in Ruling]
    return f"{plural(len(judgements), 'claim')}: {', '.join(parts)}"


def _is_order_of_speed(claim: Claim) -> bool:
    return claim.metric is Metric.speed and claim.relation.is_order and claim.times is None


def _answers(piece: Evidence, judged: Iterator[Verdict]) -> dict[str, Answer]:
    """What each comparison says of a claim; an order of speed takes its verdicts from `judged`."""
    claim = piece.claim
    if _is_order_of_speed(claim):
        return {label: _by_verdict(claim, next(judged)) for label in piece.comparisons}
    return {label: _by_interval(claim, each.ratio) for label, each in piece.comparisons.items()}


def _by_verdict(claim: Claim, verdict: Verdict) -> Answer:
    """An order holds where statistics say so, and fails where they say the opposite."""
    if verdict is Verdict.same:
        return Ruling.unclear, f"the same within ±{100 * MARGIN:g} %"
    if verdict is Verdict.unclear:
        return Ruling.unclear, "no order beyond noise"
    return (Ruling.holds if verdict.value == claim.relation.value else Ruling.fails), ""


def _by_interval(claim: Claim, ratio: Estimate) -> Answer:
    """A ratio is reached by the whole interval, by none of it, or by a part that leaves it open."""
    if ratio.low is None or ratio.high is None:
        return Ruling.unclear, "too few rounds for an interval"
    least, most = _claimed_range(claim)
    if least <= ratio.low and ratio.high <= most:
        return Ruling.holds, ""
    if ratio.low <= most and ratio.high >= least:
        return Ruling.unclear, "only part of the interval agrees"
    is_ahead = ratio.low > 1 if claim.relation.is_upward else ratio.high < 1
    return Ruling.fails, f"still {claim.relation}, but not so much" if claim.times and is_ahead else ""


def _claimed_range(claim: Claim) -> tuple[float, float]:
    """The least and the most that a ratio may be for the claim to hold."""
    if not claim.relation.is_order:
        apart = 1 + (claim.within or 0)
        return 1 / apart, apart
    least = claim.times or math.nextafter(1, 2)
    return (least, math.inf) if claim.relation.is_upward else (0, 1 / least)


def _of_ratios(piece: Evidence, answers: Mapping[str, Answer]) -> Judgement:
    """What the answers of all that a mechanism is compared with come to."""
    claim = piece.claim
    ruling, reason = _together(claim, answers, piece)
    if ruling is Ruling.not_testable:
        return Judgement(claim, ruling, None, reason, (), None)
    ours = piece.comparisons[_nearest(claim, piece.comparisons)].ratio
    return _judgement(piece, ruling, ours, reason)


def _together(claim: Claim, answers: Mapping[str, Answer], piece: Evidence) -> Answer:
    def those(wanted: Ruling) -> list[str]:
        return [label for label, (ruling, _) in answers.items() if ruling is wanted]

    several = len(claim.than) > 1
    if several and (failing := those(Ruling.fails)):
        return Ruling.fails, f"not {claim.relation} than {piece.called(failing)}"
    if piece.lacking:
        return Ruling.not_testable, piece.lacking
    if several and (unclear := those(Ruling.unclear)):
        return Ruling.unclear, f"unclear beside {piece.called(unclear)}"
    if several:
        return Ruling.holds, f"nearest is {piece.called([_nearest(claim, piece.comparisons)])}"
    return next(iter(answers.values()))


def _nearest(claim: Claim, comparisons: Mapping[str, Comparison]) -> str:
    """The one of several that comes nearest to refuting a claim, or refutes it most."""

    def lead(label: str) -> float:
        logarithm = math.log(comparisons[label].ratio.value)
        if not claim.relation.is_order:
            return -abs(logarithm)
        return logarithm if claim.relation.is_upward else -logarithm

    return min(comparisons, key=lead)


def _of_count(piece: Evidence) -> Judgement:
    """Whether a count has the published digits."""
    claim = piece.claim
    if piece.count is None or claim.millions is None:
        return Judgement(claim, Ruling.not_testable, None, piece.lacking, (), None)
    ours = Decimal(piece.count) / MILLION
    holds = ours.quantize(claim.millions, ROUND_HALF_EVEN) == claim.millions
    exactly = Estimate(float(ours), float(ours), float(ours))
    return _judgement(piece, Ruling.holds if holds else Ruling.fails, exactly, "")


def _judgement(piece: Evidence, ruling: Ruling, ours: Estimate, reason: str) -> Judgement:
    """A judgement on what was measured, with why it fails and what may be wrong with it."""
    note = piece.claim.note if ruling is Ruling.fails else ""
    if piece.doubt:
        ruling, reason, note = Ruling.unclear, piece.doubt, ""
    why = "; ".join(filter(None, [reason, note]))
    return Judgement(piece.claim, ruling, ours, why, piece.differences, piece.variant)
