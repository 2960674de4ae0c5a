"""Claims as the terminal shows them."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from attnbench.analysis.claims import Judgement, Ruling
from attnbench.analysis.evidence import Difference
from attnbench.cases.variant import PLAIN, Variant
from attnbench.paper.claims import Claim, Metric, Relation
from attnbench.report.terminal.claims import claims_notes, claims_table
from attnbench.statistics import Estimate
from tests.fakes import claim

MACHINE = Difference("machine", "Abacus", "Slide rule")
BATCH = Difference("batch", "1", "64")
COUNT: dict[str, Any] = {"metric": Metric.flops, "times": None, "device": None}


def judgement(about: Claim | None = None, **changes: Any) -> Judgement:
    made = Judgement(
        about or claim(), Ruling.holds, Estimate(1.5, 1.45, 1.55), "as was said", (MACHINE,), PLAIN
    )
    return replace(made, **changes)


def printed(judgements: Sequence[Judgement], width: int = 160) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        console.print(claims_table(judgements))
    return capture.get()


def cells(*judgements: Judgement) -> dict[str, Sequence[str]]:
    """What stands below each heading."""
    return {column.heading: column.cells for column in claims_table(judgements).columns}


def test_a_line_has_sentence_source_numbers_setting_verdict_and_reason():
    line = {
        "Claim": "HiLo is fast.", "Source": "page 1", "Published": "≥ 1.4",
        "Ours [95 %]": "1.50 [1.45, 1.55]", "Setting": "a", "Verdict": "holds", "Why": "as was said",
    }  # fmt: skip
    assert cells(judgement()) == {heading: [cell] for heading, cell in line.items()}
    assert " ".join(printed([judgement()]).splitlines()[3].split()) == " ".join(line.values())


def test_what_float32_says_stands_beside_a_claim_that_was_judged_in_tf32():
    plain = judgement(ruling=Ruling.fails, ours=Estimate(0.5, 0.49, 0.51))
    rounded = judgement(variant=Variant(dtype="tf32"), beside=plain)
    assert cells(rounded)["Why"] == ["as was said; in float32 0.500 [0.490, 0.510]: fails"]


def test_in_a_narrow_terminal_source_and_reason_stand_below():
    text = printed([judgement()], width=70)
    assert "Source" not in text
    assert [" ".join(line.split()) for line in text.splitlines()[3:5]] == [
        "HiLo is fast. ≥ 1.4 1.50 [1.45, 1.55] a holds",
        "page 1; as was said",
    ]


@pytest.mark.parametrize("width", [70, 160])
def test_what_a_user_writes_is_no_markup(width: int):
    text = printed([judgement(claim(sentence="[red] is [bold]", source="[b]"), reason="[/]")], width)
    assert all(word in text for word in ("[red] is [bold]", "[b]", "[/]"))


@pytest.mark.parametrize(
    ("about", "ours", "shown"),
    [
        (claim(), Estimate(1.5, 1.4, 1.6), ("≥ 1.4", "1.50 [1.40, 1.60]")),
        (claim(relation=Relation.slower, times=3.0), Estimate(0.5), ("≤ 0.333", "0.50")),
        (claim(times=None), Estimate(2.0), ("> 1", "2.00")),
        (claim(times=None, relation=Relation.slower), None, ("< 1", "—")),
        (claim(times=None, reported=2.037), None, ("2.04", "—")),
        (claim(times=None, relation=Relation.about, within=0.1), None, ("1 ± 0.1", "—")),
        (claim(**COUNT, relation=Relation.equal), Estimate(1.0, 1.0, 1.0), ("1", "1.00")),
        (
            claim(**COUNT, relation=Relation.equal, than=(), millions=Decimal("2.20")),
            Estimate(2.198528, 2.198528, 2.198528),
            ("2.20 M", "2.20 M"),
        ),
    ],
)  # fmt: skip
def test_numbers_are_shown_as_they_were_claimed(about: Claim, ours: Estimate | None, shown: tuple[str, str]):
    line = cells(judgement(about, ours=ours, differences=(), reason=""))
    assert (*line["Published"], *line["Ours [95 %]"]) == shown


def test_each_way_in_which_a_setting_differs_has_a_letter():
    judgements = [
        judgement(),
        judgement(differences=(BATCH, MACHINE)),
        judgement(differences=()),
        judgement(),
    ]
    assert cells(*judgements)["Setting"] == ["a", "b", "", "a"]
    assert claims_notes(judgements, {PLAIN}) == [
        "setting a: machine Abacus, not Slide rule",
        "setting b: batch 1, not 64; machine Abacus, not Slide rule",
    ]


def test_where_settings_do_not_differ_there_is_no_column_for_them():
    assert "Setting" not in printed([judgement(differences=())])


def test_of_several_variants_the_one_that_was_judged_is_named():
    several = {PLAIN, Variant(kernel="fused")}
    judgements = [judgement(differences=()), judgement(differences=(), variant=None)]
    assert claims_notes(judgements, several) == ["judged in float32 explicit; the run has 2 variants"]
    assert claims_notes(judgements, {PLAIN}) == []
