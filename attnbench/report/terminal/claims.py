"""Claims for the terminal: what is said, what was measured, and what that makes of it."""

from collections.abc import Collection, Sequence
from itertools import compress
from string import ascii_lowercase

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from attnbench.analysis.claims import Judgement, Ruling
from attnbench.analysis.evidence import Difference
from attnbench.cases.variant import Variant
from attnbench.paper.claims import Claim, Metric, Relation
from attnbench.report.digits import estimated, shown
from attnbench.statistics import Estimate

WIDE = 130  # columns that source and reason need beside the rest
STYLES = {Ruling.holds: "green", Ruling.fails: "red", Ruling.unclear: "yellow", Ruling.not_testable: "dim"}
HEADINGS = ("Claim", "Source", "Published", "Ours [95 %]", "Setting", "Verdict", "Why")
TEXTS = ("Claim", "Source", "Why")
NUMBERS = ("Published", "Ours [95 %]")
RATIOS = "ratios: the first mechanism over the other, so that 0.5 is half as fast, as many or as much"


def claims_table(judgements: Sequence[Judgement], width: int) -> Table:
    """A line a claim; where there is no room for columns of their own, source and reason stand below it."""
    wide, settings = width >= WIDE, _settings(judgements)
    shown = [True, wide, True, True, bool(settings), True, wide]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=RATIOS, caption_justify="left")
    for heading in compress(HEADINGS, shown):
        if heading in TEXTS:
            table.add_column(heading, ratio=1)
        else:
            table.add_column(heading, justify="right" if heading in NUMBERS else "left", no_wrap=True)
    for judgement in judgements:
        claim = judgement.claim
        below = "; ".join(filter(None, [claim.source, judgement.reason]))
        cells = [
            escape(claim.sentence) + f"\n[dim]{escape(below)}[/dim]" * (not wide),
            escape(claim.source),
            _published(claim),
            _ours(judgement),
            settings.get(judgement.differences, ""),
            f"[{STYLES[judgement.ruling]}]{judgement.ruling}[/]",
            escape(judgement.reason),
        ]
        table.add_row(*compress(cells, shown))
    return table


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
    found = dict.fromkeys(judgement.differences for judgement in judgements if judgement.differences)
    return dict(zip(found, ascii_lowercase, strict=False))


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
