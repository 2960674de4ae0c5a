"""Claims for the terminal: what is said, what was measured, and what that makes of it."""

from collections.abc import Collection, Sequence
from string import ascii_lowercase

from attnbench.analysis.claims import Judgement, Ruling
from attnbench.analysis.evidence import Difference
from attnbench.cases.variant import Variant
from attnbench.paper.claims import Claim, Metric, Relation
from attnbench.report.digits import estimated, shown
from attnbench.report.terminal.grid import Grid, GridColumn
from attnbench.statistics import Estimate

COLOURS: dict[str, str] = {
    Ruling.holds: "green",
    Ruling.fails: "red",
    Ruling.unclear: "yellow",
    Ruling.not_testable: "dim",
}
RATIOS = "ratios: the first mechanism over the other, so that 0.5 is half as fast, as many or as much"


def claims_table(judgements: Sequence[Judgement]) -> Grid:
    """A line a claim; where there is no room for columns of their own, source and reason stand below it."""
    claims, letters = [judgement.claim for judgement in judgements], _settings(judgements)
    settings = [letters.get(judgement.differences, "") for judgement in judgements]
    columns = [
        GridColumn("Claim", [claim.sentence for claim in claims], wraps=True),
        GridColumn("Source", [claim.source for claim in claims], wraps=True, stacks=True),
        GridColumn("Published", list(map(_published, claims))),
        GridColumn("Ours [95 %]", list(map(_ours, judgements))),
        *([GridColumn("Setting", settings, justify="left")] if letters else []),
        GridColumn(
            "Verdict", [judgement.ruling for judgement in judgements], justify="left", colours=COLOURS
        ),
        GridColumn("Why", list(map(_why, judgements)), wraps=True, stacks=True),
    ]
    return Grid(columns, caption=RATIOS)


def claims_notes(judgements: Sequence[Judgement], variants: Collection[Variant]) -> list[str]:
    """How settings differ from those of claims, and in which of a run's variants claims were judged."""
    lines = [
        f"setting {letter}: {'; '.join(map(str, differences))}"
        for differences, letter in _settings(judgements).items()
    ]
    judged = dict.fromkeys(judgement.variant.brief for judgement in judgements if judgement.variant)
    if len(variants) > 1 and judged:
        lines.append(f"judged in {', '.join(judged)}; the run has {len(variants)} variants")
    return lines


def _settings(judgements: Sequence[Judgement]) -> dict[tuple[Difference, ...], str]:
    """A letter for each way in which settings differ from those of claims."""
    ways = dict.fromkeys(judgement.differences for judgement in judgements if judgement.differences)
    return dict(zip(ways, ascii_lowercase, strict=False))


def _why(judgement: Judgement) -> str:
    """The reason, and what float32 says of a claim that was judged in TF32."""
    plain = judgement.beside
    beside = f"in {plain.variant.dtype} {_ours(plain)}: {plain.ruling}" if plain and plain.variant else ""
    return "; ".join(filter(None, [judgement.reason, beside]))


def _published(claim: Claim) -> str:
    """The number in the source, or else what the relation asks for."""
    if claim.millions is not None:
        return f"{claim.millions} M"
    if claim.number is not None:
        sign = "≥ " if claim.relation.is_upward else "≤ "
        return f"{sign}{claim.number:.3g}" if claim.times else shown(Estimate(claim.number)).value
    if claim.relation.is_order:
        return "> 1" if claim.relation.is_upward else "< 1"
    return "1" if claim.relation is Relation.equal else f"1 ± {claim.within}"


def _ours(judgement: Judgement) -> str:
    claim, ours = judgement.claim, judgement.ours
    if ours is None:
        return "—"
    if claim.millions is not None:
        digits = len(str(claim.millions).partition(".")[2])
        return f"{ours.value:.{digits}f} M"
    return estimated(ours if claim.metric is Metric.speed else Estimate(ours.value))
